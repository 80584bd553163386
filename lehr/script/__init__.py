"""Trials for a training script of one's own: it asks for them, trains with their rates, and reports.

from lehr.script import ScriptClient

with ScriptClient("http://127.0.0.1:8765") as client:
    for trial in client.trials(study, horizon_steps=1000):
        ...
"""

from lehr.script.client import ScriptClient
from lehr.script.trial import ScriptTrial

__all__ = ["ScriptClient", "ScriptTrial"]

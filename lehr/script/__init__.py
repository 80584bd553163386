"""Runs a study's trials in your own training script: get trials, train with their rates, and report metrics.

from lehr.script import ScriptClient

with ScriptClient("http://127.0.0.1:8765") as client:
    for trial in client.trials(study, horizon_steps=1000):
        ...
"""

from lehr.script.client import ScriptClient
from lehr.script.trial import ScriptTrial

__all__ = ["ScriptClient", "ScriptTrial"]

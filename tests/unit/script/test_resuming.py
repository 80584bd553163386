"""A framework's training that was killed resumes from its checkpoint, and ends like an uninterrupted one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lehr.client import Client
from lehr.schedules import schedule_from_dict
from tests.architecture.sources import ROOT
from tests.support.live import listening

PROGRAM = """
import importlib.util, sys, time, warnings
from pathlib import Path
from lehr.script import ScriptClient, ScriptTrial

path, url, study, folder, horizon, stop = sys.argv[1:]
spec = importlib.util.spec_from_file_location("example", path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.FOLDER = Path(folder)
lr, asked = ScriptTrial.lr, []

def watched(self, step):
    asked.append(int(step))
    if step == int(stop):
        self._keeper.flush()
        print("WAITS", flush=True)
        time.sleep(120)
    return lr(self, step)

ScriptTrial.lr = watched
with ScriptClient(url) as client:
    for trial in client.trials(study, horizon_steps=int(horizon)):
        module.train(trial)
        break
    trial.end()
print("BEGAN", asked[0], flush=True)
"""
# The horizon, the step before which the process is killed, and the step from which the next one goes on.
CASES = {"transformers": (12, 10, 8), "lightning": (20, 13, 10), "keras": (20, 13, 10)}
SCHEDULE = {"family": "cosine", "start_lr": 0.05, "end_lr": 0.001}


def start(framework: str, url: str, study: str, folder: Path, stop: int) -> subprocess.Popen[str]:
    path, horizon = ROOT / "examples" / f"own_{framework}.py", CASES[framework][0]
    command = [sys.executable, "-c", PROGRAM, str(path), url, study, str(folder), str(horizon), str(stop)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def post(client: Client, framework: str, name: str) -> str:
    metric = "eval_loss" if framework == "transformers" else "val_loss"
    spec: dict[str, Any] = {
        "name": f"{framework}-{name}",
        "task": {"name": f"script:{framework}"},
        "space": {"families": ["cosine"]},
        "objective": {"metric": metric, "direction": "minimize"},
        "sampler": {"name": "random", "seed": 5},
        "budget": {"trials": 1},
        "confirm": None,
        "warm_start": "off",
    }
    study = client.create_study(spec).study_id
    client.enqueue(study, schedule_from_dict(SCHEDULE))
    return study


def said(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(word):
            return line.removeprefix(word).strip()
    raise AssertionError(f"the process ended with {process.wait()} before it said {word}")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("framework", CASES)
def test_a_killed_training_goes_on_from_its_checkpoint_and_equals_one_that_was_not(
    framework: str, sqlite_url: str, tmp_path: Path
) -> None:
    _, stop, resumed = CASES[framework]
    with listening(sqlite_url, lease_seconds=3, beat_seconds=1) as url, Client(url) as client:
        whole, broken = post(client, framework, "whole"), post(client, framework, "broken")
        killed = start(framework, url, broken, tmp_path / "broken", stop)
        said(killed, "WAITS")
        killed.send_signal(signal.SIGKILL)
        assert killed.wait(20) == -signal.SIGKILL
        undisturbed = start(framework, url, whole, tmp_path / "whole", -1)
        assert said(undisturbed, "BEGAN") == "0"
        after = start(framework, url, broken, tmp_path / "broken", -1)
        assert said(after, "BEGAN") == str(resumed)
        assert (undisturbed.wait(60), after.wait(60)) == (0, 0)
        trial, expected = client.trial(broken, 0), client.trial(whole, 0)
        assert (trial.state, trial.attempt, expected.attempt) == ("COMPLETED", 2, 1)
        assert trial.value == expected.value
        curves = [client.curve(study, 0) for study in (broken, whole)]
        metric = client.best(whole).metric
        assert curves[0].step == curves[1].step
        assert curves[0].metrics[metric] == curves[1].metrics[metric]
        assert curves[0].lr == curves[1].lr
    for process in (killed, undisturbed, after):
        process.communicate()

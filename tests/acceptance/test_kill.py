"""After kill -9 of any process in mid-trial, every trial of the budget ends exactly once."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from lehr.client import Client
from tests.acceptance.machine import Machine, is_alive, until

BUDGET = 6
SPEC: dict[str, Any] = {
    "name": "killed",
    # Long enough to be killed in the middle, on any machine.
    "task": {"name": "digits", "params": {"model": "mlp", "epochs": 60, "batch_size": 16}},
    "space": {"families": ["constant", "cosine"]},
    "objective": {"metric": "val_accuracy", "direction": "maximize"},
    "sampler": {"name": "random", "seed": 0},
    "budget": {"trials": BUDGET, "parallel": 2},
    "confirm": None,
}


def mid_trial(client: Client, study_id: str) -> int:
    """The number of a trial that runs and has reported."""

    def running() -> list[int]:
        return [each.number for each in client.trials(study_id, state="RUNNING") if each.step is not None]

    found: list[int] = until(running, "a trial is in the middle")
    return found[0]


@pytest.mark.timeout(400)
def test_every_trial_ends_once_whoever_is_killed(here: Machine) -> None:
    up = here.up()
    with here.client() as client:
        study_id = client.create_study(SPEC).study_id

        mid_trial(client, study_id)
        before = here.state()["workers"]
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        until(lambda: not set(here.state()["workers"].values()) & set(before.values()), "workers are replaced")
        assert up.poll() is None, "up itself goes on"

        mid_trial(client, study_id)
        os.kill(here.state()["server"], signal.SIGKILL)
        assert here.end(up, 60) == 1
        assert "server exited by signal 9" in here.text_of(up, "err")
        assert here.alive() == set(), "up takes its workers with it"

        up = here.up()
        mid_trial(client, study_id)
        children = here.children()
        up.kill()
        up.wait()
        until(lambda: not any(is_alive(pid) for pid in children), "children of a killed up end by themselves", 30)

        up = here.up()
        study = client.wait(study_id, timeout=200)
        trials = list(client.trials(study_id))

    assert study.state == "COMPLETED"
    assert sorted(trial.number for trial in trials) == list(range(BUDGET))
    assert {trial.state for trial in trials} <= {"COMPLETED", "DIVERGED"}
    assert study.progress.finished == study.progress.planned == BUDGET
    assert max(trial.losses for trial in trials) >= 1, "a trial was lost with its worker"
    up.send_signal(signal.SIGTERM)
    assert here.end(up, 30) == 0
    assert here.alive() == set()

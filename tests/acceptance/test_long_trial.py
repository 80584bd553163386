"""A long trial outlives its leases and ten workers, three of them killed, with one unbroken curve."""

from __future__ import annotations

import multiprocessing
import signal
from pathlib import Path
from typing import Any

import pytest

from lehr.client import Client
from tests.acceptance.light_worker import work
from tests.acceptance.machine import until
from tests.support.live import listening
from tests.unit.workers.training.runs import new_run, train

PARAMS: dict[str, Any] = {"model": "mlp", "epochs": 300, "batch_size": 64}
SPEC: dict[str, Any] = {
    "name": "long",
    "task": {"name": "digits", "params": PARAMS},
    "space": {"families": ["cosine"]},
    "objective": {"metric": "val_loss", "direction": "minimize"},
    "sampler": {"name": "random", "seed": 0},
    "budget": {"trials": 1, "parallel": 1},
    "confirm": None,
}
TERM, KILL = signal.SIGTERM, signal.SIGKILL
ENDS = [TERM, KILL, TERM, TERM, KILL, TERM, TERM, KILL, TERM, TERM]
"""A trial may lose three workers; those that are told to end give it back, which is no loss."""


@pytest.mark.timeout(180)
def test_ten_restarts_of_its_worker_leave_one_unbroken_curve(sqlite_url: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.acceptance.light_worker", "torch._dynamo", "workers.tasks.digits.task"])
    with listening(sqlite_url, lease_seconds=1.0, beat_seconds=0.2) as url, Client(url) as client:
        study_id = client.create_study(SPEC).study_id

        def start(index: int) -> Any:
            process = context.Process(target=work, args=(url, f"w-{index}", str(tmp_path), 0.05))
            process.start()
            return process

        def last_step() -> int:
            return next((trial.step or 0 for trial in client.trials(study_id)), 0)

        for index, end in enumerate(ENDS):
            before = last_step()
            worker = start(index)
            # Beyond what a lost attempt reported after its last save, and will report once more.
            until(lambda before=before: last_step() > before, "the trial goes on")
            worker.terminate() if end == TERM else worker.kill()
            worker.join(30)
            assert worker.exitcode == (0 if end == TERM else -KILL)
        last = start(len(ENDS))
        study = client.wait(study_id, timeout=90)
        last.terminate()
        last.join(30)
        (trial,) = client.trials(study_id)
        curve = client.curve(study_id, trial.number, max_points=1000)
    expected = train(new_run(PARAMS, trial.schedule, seed=trial.seed))
    assert (study.state, trial.state) == ("COMPLETED", "COMPLETED")
    assert (trial.attempt, trial.losses) == (len(ENDS) + 1, ENDS.count(KILL))
    assert curve.step == [report.step for report in expected]
    assert curve.train_loss == [report.train_loss for report in expected]
    assert curve.metrics["val_loss"] == [report.metrics["val_loss"] for report in expected]
    assert trial.value == expected[-1].metrics["val_loss"]

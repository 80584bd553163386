"""A worker without lehr, in at most sixty lines, trains a study to its answer by the public protocol."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lehr.client import Client
from tests.acceptance.machine import ROOT
from tests.architecture.sources import imported_modules, nodes
from tests.support.live import listening

WORKER = ROOT / "examples" / "plain_worker.py"
STUDY: dict[str, Any] = {
    "name": "parabola",
    "task": {"name": "plain:parabola"},
    "space": {"families": ["constant", "cosine", "one_cycle"], "start_lr": {"low": 1e-3, "high": 0.4}},
    "objective": {"metric": "loss", "direction": "minimize"},
    "sampler": {"name": "random", "seed": 0},
    "budget": {"trials": 6},
    "confirm": {"top": 1, "seeds": 2},
}


def test_the_plain_worker_is_short_and_imports_pythons_own_library_alone() -> None:
    assert len(WORKER.read_text().splitlines()) <= 60
    modules = {module.split(".")[0] for node in nodes(WORKER) for module in imported_modules(node)}
    assert modules <= sys.stdlib_module_names


@pytest.mark.timeout(60)
def test_the_plain_worker_trains_a_study_to_its_confirmed_answer(sqlite_url: str, tmp_path: Path) -> None:
    with listening(sqlite_url) as url, Client(url) as client:
        # In a folder of its own and isolated: lehr cannot be imported there.
        process = subprocess.Popen([sys.executable, "-I", "-S", str(WORKER), url], cwd=tmp_path)
        try:
            study_id = client.create_study(STUDY).study_id
            assert client.wait(study_id, timeout=45, poll_seconds=0.1).state == "COMPLETED"
        finally:
            process.kill()
            process.wait()
        for trial in client.trials(study_id):
            x = 0.0
            for step in range(100):
                x -= trial.schedule.lr(step, 100) * 2 * (x - 3)
            assert trial.value == pytest.approx((x - 3) ** 2, rel=1e-9, abs=1e-30)
            assert client.curve(study_id, trial.number).step == list(range(9, 100, 10))
        assert client.best(study_id).confirmation is not None

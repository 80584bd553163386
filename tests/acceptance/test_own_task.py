"""A user's own package adds a task: built, installed, allowed, searched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from lehr.client import Client, RefusedByServerError
from tests.acceptance.machine import ROOT
from tests.support.live import listening

PACKAGE = ROOT / "examples" / "own_task"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the example's wheel is installed."""
    folder = tmp_path_factory.mktemp("own-task")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=PACKAGE, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "workers", "--device", "cpu", "--log-level", "warning", *arguments]


@contextmanager
def worker(url: str, folder: Path, site: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}
    place = ["--server", url, "--tasks", "glassworks.wine", "--checkpoints", str(folder)]
    process = subprocess.Popen(command(*place), cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.mark.timeout(180)
def test_a_study_of_a_task_from_another_package_is_searched_and_confirmed(
    sqlite_url: str, tmp_path: Path, installed: Path
) -> None:
    study: dict[str, Any] = yaml.safe_load((PACKAGE / "study.yaml").read_text())
    # Six trials of an unknown seed may believe a rate that is too high: the confirmation then tells so, as it should.
    study["sampler"] = {"name": "tpe", "seed": 0}
    with listening(sqlite_url) as url, Client(url) as client, worker(url, tmp_path, installed) as process:
        deadline = time.monotonic() + 90
        while not (tasks := client.tasks()):
            assert process.poll() is None
            assert time.monotonic() < deadline, "no worker came"
            time.sleep(0.05)
        (task,) = tasks
        assert (task.name, task.live, task.metrics) == ("glassworks.wine", True, ["val_loss", "val_accuracy"])
        assert (task.params_schema or {})["properties"]["hidden"]["maximum"] == 1024
        with pytest.raises(RefusedByServerError, match="1025 is greater than the maximum of 1024"):
            client.create_study(study | {"task": {"name": "glassworks.wine", "params": {"hidden": 1025}}})

        study_id = client.create_study(study).study_id
        assert client.wait(study_id, timeout=90, poll_seconds=0.1).state == "COMPLETED"
        trials = list(client.trials(study_id))
        assert {trial.error for trial in trials} == {None}
        answer = client.best(study_id)
    assert answer.confirmation is not None
    assert answer.confirmation.mean < 0.5, "three classes: chance is ln 3 = 1.1"
    assert answer.horizon_steps == 8 * 5, "8 epochs of 142 rows in batches of 32"


def test_a_worker_refuses_to_start_with_a_task_whose_package_is_not_installed() -> None:
    done = subprocess.run(
        command("--tasks", "glassworks.wine"), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "not installed: glassworks.wine" in done.stderr
    assert "lehr.tasks" in done.stderr

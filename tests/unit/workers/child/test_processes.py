"""Several processes on one device, each training one trial: how they are measured, chosen and used."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lehr.schedules import schedule_from_dict
from lehr.wire.leases import Report
from tests.unit.workers.cohort.cohorts import Trial, alone, distance
from tests.unit.workers.fake_server import COSINE, FakeServer, FakeTrial
from tests.unit.workers.tasks.slow_tasks import STEP_SECONDS
from workers.child.census import descendants
from workers.child.main import MOST_ON_A_GPU, most_processes
from workers.cohort.advisor import Advisor
from workers.cohort.choice import Choice, ChoiceCache
from workers.cohort.process_benchmark import BenchmarkError, BenchmarkSpec, benchmark_processes
from workers.settings import WorkerSettings
from workers.training.solo import build_task

CPU = torch.device("cpu")
OBJECTIVE = {"metric": "val_loss", "direction": "minimize"}
DRAIN_SECONDS = 5.0
EPOCH_SECONDS = 2 * STEP_SECONDS


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the installed package of the task `test.slow`."""
    torch.set_num_threads(
        1
    )  # as in a worker: the probe then counts processor time, which other processes hardly affect
    declared = tmp_path / "slow-1.0.dist-info"
    declared.mkdir()
    (declared / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1.0\n")
    (declared / "entry_points.txt").write_text("[lehr.tasks]\ntest.slow = tests.unit.workers.tasks.slow_tasks:Slow\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    return tmp_path


def slow(epochs: int = 5, **params: Any) -> dict[str, Any]:
    return {"name": "test.slow", "params": {"epochs": epochs, "batch_size": 20, **params}}


def spec(task: dict[str, Any]) -> BenchmarkSpec:
    return BenchmarkSpec(task, Path("none"), "cpu", threads=1)


def test_processes_that_do_not_disturb_each_other_take_as_long_as_one(installed: Path) -> None:
    others = descendants(os.getpid())
    seconds = benchmark_processes(spec(slow()), most=3)
    assert set(seconds) == {1, 2}, "powers of two"
    assert EPOCH_SECONDS < seconds[1] < 2 * EPOCH_SECONDS
    assert seconds[2] < 1.5 * seconds[1]
    assert set(descendants(os.getpid())) <= set(others)


def test_processes_that_train_in_turns_take_twice_as_long(installed: Path) -> None:
    """This proves that they train at the same time: one by one, no process would have waited."""
    seconds = benchmark_processes(spec(slow(turnstile=str(installed / "turnstile"))), most=2)
    assert seconds[2] > 1.6 * seconds[1]


def test_a_task_that_fails_says_so_and_leaves_no_process(installed: Path) -> None:
    others = descendants(os.getpid())
    with pytest.raises(BenchmarkError, match="ValueError: no such data"):
        benchmark_processes(spec(slow(fails=True)), most=2)
    assert set(descendants(os.getpid())) <= set(others)


def test_what_cannot_be_fused_is_trained_in_processes_where_these_gain(installed: Path) -> None:
    folder = installed / "choices"
    choice = Advisor(CPU, ChoiceCache(folder), most_processes=2).choice(slow())
    assert (choice.size, choice.processes) == (1, 2)
    assert choice.reason.startswith("cannot be fused")
    assert "2 processes at once are" in choice.reason
    told = choice.execution(1)
    assert (told.mode, told.together, told.processes) == ("solo", 1, 2)
    assert set(told.processes_seconds) == {"1", "2"}
    assert Advisor(CPU, ChoiceCache(folder), most_processes=2).choice(slow()) == choice


def test_processes_that_gain_nothing_are_not_chosen(installed: Path) -> None:
    task = slow(turnstile=str(installed / "turnstile"))
    choice = Advisor(CPU, ChoiceCache(installed / "choices"), most_processes=2).choice(task)
    assert (choice.size, choice.processes) == (1, 1)
    assert "2 processes at once reach" in choice.reason


def test_one_process_is_measured_where_no_more_may_train(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.cohort.advisor.benchmark_processes", lambda spec, most: pytest.fail("not allowed"))
    assert Advisor(CPU, ChoiceCache(installed / "choices")).choice(slow()).processes == 1


def test_a_choice_of_before_there_were_processes_is_still_known(tmp_path: Path) -> None:
    cache, key = ChoiceCache(tmp_path), {"task": "a"}
    cache.store(key, Choice(1, "because"))
    (file,) = tmp_path.iterdir()
    file.write_text('{"size": 4, "reason": "old", "epoch_seconds": {"0": 1.0}}')
    assert cache.load(key) == Choice(4, "old", {0: 1.0})


@pytest.mark.parametrize(
    ("settings", "device", "most"),
    [
        ({}, "cpu", 1),
        ({}, "cuda", MOST_ON_A_GPU),
        ({"gpu_memory_share": 0.3}, "cuda", 1),
        ({"memory_limit_mib": 4000}, "cuda", 1),
        ({"processes": 2}, "cpu", 2),
        ({"processes": 8, "gpu_memory_share": 0.1}, "cuda", 8),
    ],
)
def test_a_gpu_is_shared_unless_memory_is_shared_out_and_a_cpu_where_it_is_allowed(
    settings: dict[str, Any], device: str, most: int
) -> None:
    assert most_processes(WorkerSettings(**settings), device) == most


@pytest.fixture
def worker(installed: Path) -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def start(server: FakeServer, folder: Path, task: dict[str, Any]) -> subprocess.Popen[str]:
    """A worker that has already measured the task, so that the tests depend on no measurement."""
    settings = WorkerSettings(calibration=folder / "choices")
    key = Advisor(CPU, ChoiceCache(settings.calibration), most_processes=2)._key(task)
    ChoiceCache(settings.calibration).store({**key, "threads": 1}, Choice(1, "measured", {0: 1.0}, 2, {1: 1.0, 2: 1.0}))
    command = [sys.executable, "-m", "workers", "--server", server.url, "--device", "cpu", "--tasks", "test.slow"]
    command += ["--cohort", "auto", "--processes", "2", "--checkpoints", str(folder / "checkpoints")]
    command += ["--calibration", str(settings.calibration), "--log-format", "json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_worker_trains_two_trials_at_once_each_as_alone(installed: Path, worker: list[subprocess.Popen[str]]) -> None:
    trials, task = [FakeTrial(f"t{seed}", seed=seed) for seed in range(4)], slow(epochs=150)
    with FakeServer(*trials, task=task) as server:
        server.objective = OBJECTIVE
        worker.append(start(server, installed, task))
        server.wait_until(lambda: sum(len(trial.reports) > 0 and not trial.finishes for trial in trials) == 2)
        server.wait_until(lambda: all(trial.finishes for trial in trials), seconds=90)
        worker[0].send_signal(signal.SIGTERM)
        _, log = worker[0].communicate(timeout=DRAIN_SECONDS)
    assert worker[0].returncode == 0, log
    assert len({body["worker"]["id"] for _, body in server.claims}) == 1, "it is one worker"
    for trial in trials:
        expected = alone(build_task(task), Trial(schedule_from_dict(COSINE), trial.seed))
        curve = [Report.model_validate(trial.reports[step]) for step in sorted(trial.reports)]
        assert distance(expected, curve) == 0.0
        assert trial.execution is not None
        assert trial.execution["processes"] == 2


def test_a_signal_gives_back_what_every_process_trains_within_5_seconds(
    installed: Path, worker: list[subprocess.Popen[str]]
) -> None:
    trials, task = [FakeTrial(f"t{seed}", seed=seed) for seed in range(2)], slow(epochs=1000)
    with FakeServer(*trials, task=task) as server:
        server.objective = OBJECTIVE
        worker.append(start(server, installed, task))
        server.wait_until(lambda: all(trial.reports for trial in trials), seconds=60)
        worker[0].send_signal(signal.SIGTERM)
        _, log = worker[0].communicate(timeout=DRAIN_SECONDS)
    assert worker[0].returncode == 0, log
    assert [(trial.state, trial.releases) for trial in trials] == [("WAITING", 1)] * 2
    assert all(Path(str(trial.checkpoint)).exists() for trial in trials)

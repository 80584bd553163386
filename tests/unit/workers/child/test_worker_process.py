"""The worker as a real process: signals, sudden death, settings and the exit status."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lehr.schedules import schedule_from_dict
from tests.unit.workers.fake_server import COSINE, FakeServer, FakeTrial
from tests.unit.workers.training.runs import new_run, train

LONG = {"name": "digits", "params": {"model": "mlp", "epochs": 1000}}
DRAIN_SECONDS = 5.0
PLATEAU = {"family": "plateau", "start_lr": 0.1, "end_lr": 1e-4, "patience": 1, "factor": 0.7, "threshold": 0.05}

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    processes: list[subprocess.Popen[str]] = []

    def begin(server: FakeServer, *flags: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "workers", "--server", server.url, "--device", "cpu", "--log-format", "json"]
        # One trial at a time: a worker that measures first, and gives a lease back, is a test of its own.
        command += ["--checkpoints", str(tmp_path / "checkpoints"), "--cohort", "off", *flags]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def ended_within(process: subprocess.Popen[str], seconds: float) -> tuple[int, str]:
    """Exit status and log."""
    _, log = process.communicate(timeout=seconds)
    return process.returncode, log


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_mid_trial_releases_it_within_5_seconds(sent: signal.Signals, start: Start) -> None:
    trial = FakeTrial("t1")
    with FakeServer(trial, task=LONG) as server:
        worker = start(server)
        server.wait_until(lambda: trial.reports)
        worker.send_signal(sent)
        status, log = ended_within(worker, DRAIN_SECONDS)
    assert status == 0, log
    assert (trial.state, trial.releases) == ("WAITING", 1)
    assert Path(str(trial.checkpoint)).exists()
    assert "worker_stopped" in log


def test_an_idle_worker_drains_too_and_gives_back_a_lease_that_comes_meanwhile(start: Start) -> None:
    trial = FakeTrial("t1", state="HIDDEN")
    with FakeServer(trial) as server:
        worker = start(server)
        server.wait_until(lambda: server.claims)
        worker.terminate()
        time.sleep(0.1)
        trial.state = "WAITING"
        status, log = ended_within(worker, DRAIN_SECONDS)
    assert status == 0, log
    assert trial.state == "WAITING"
    assert trial.attempt == trial.releases


def test_without_a_server_a_drain_still_ends_within_5_seconds_and_keeps_the_checkpoint(
    start: Start, tmp_path: Path
) -> None:
    trial = FakeTrial("t1")
    with FakeServer(trial, task=LONG) as server:
        worker = start(server)
        server.wait_until(lambda: trial.reports)
        server.down = True
        worker.terminate()
        status, log = ended_within(worker, DRAIN_SECONDS)
    assert status == 0, log
    assert list((tmp_path / "checkpoints").glob("t1.*.pt"))


def test_a_second_signal_ends_the_worker_at_once(start: Start) -> None:
    trial = FakeTrial("t1")
    with FakeServer(trial, task=LONG) as server:
        worker = start(server)
        server.wait_until(lambda: trial.reports)
        server.down = True
        worker.terminate()
        time.sleep(0.5)
        began = time.monotonic()
        worker.terminate()
        status, _ = ended_within(worker, DRAIN_SECONDS)
    assert time.monotonic() - began < 1.0
    assert status == 128 + signal.SIGTERM


@pytest.mark.parametrize("schedule", [COSINE, PLATEAU], ids=["cosine", "plateau"])
def test_after_kill_9_another_worker_goes_on_from_the_checkpoint_to_the_same_curve(
    start: Start, schedule: dict[str, Any]
) -> None:
    trial = FakeTrial("t1", schedule=schedule)
    params: dict[str, Any] = {"model": "mlp", "epochs": 60}
    with FakeServer(trial, task={"name": "digits", "params": params}) as server:
        server.lease_seconds, server.beat_seconds = 1.0, 0.2
        first = start(server, "--checkpoint-seconds", "0.2")
        server.wait_until(lambda: trial.checkpoint)
        first.kill()
        first.wait()
        assert trial.finishes == 0
        second = start(server)
        server.wait_until(lambda: trial.finishes, seconds=60)
        second.terminate()
        _, log = ended_within(second, DRAIN_SECONDS)
    expected = train(new_run(params, schedule_from_dict(schedule)))
    assert [trial.reports[step] for step in sorted(trial.reports)] == [report.model_dump() for report in expected]
    assert (trial.attempt, trial.finishes, trial.state) == (2, 1, "COMPLETED")
    assert '"event": "trial_resumed"' in log


def test_the_log_has_a_line_per_change_of_state_with_its_keys(start: Start) -> None:
    trial = FakeTrial("t1")
    with FakeServer(trial) as server:
        worker = start(server)
        server.wait_until(lambda: server.calls["leases"] == 2)
        worker.terminate()
        _, log = ended_within(worker, DRAIN_SECONDS)
    events = [line.split('"event": "')[1].split('"')[0] for line in log.splitlines()]
    assert events == ["worker_started", "trial_started", "trial_finished", "drain_started", "worker_stopped"]
    for key in ('"study": "study-1"', '"trial": "t1"', '"number": 0', '"attempt": 1'):
        assert log.count(key) == 2


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workers", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--server", "ftp://x"), "--server: "),
        (("--device", "cuda:99"), "--device: this machine has no such device (allowed: one of auto, cpu"),
        (("--tasks", "digits,nonsense"), "not installed: nonsense (built in: digits, "),
        (("--tasks", ""), "--tasks: "),
        (("--max-trials", "0"), "--max-trials: "),
        (("--threads", "0"), "--threads: "),
        (("--checkpoint-seconds", "nan"), "--checkpoint-seconds: "),
        (("--log-level", "loud"), "--log-level: "),
    ],
)
def test_wrong_settings_are_named_before_any_work(flags: tuple[str, ...], said: str) -> None:
    result = run(*flags)
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_help_needs_no_torch() -> None:
    code = "import sys, contextlib, workers.__main__ as m\nwith contextlib.suppress(SystemExit): m.main(['--help'])\n"
    code += "assert 'torch' not in sys.modules and 'sklearn' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=30).returncode == 0

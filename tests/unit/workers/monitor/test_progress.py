"""The progress of trials in the server, the log and the live table."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from lehr.wire.leases import LeasedTrial
from tests.unit.workers.fake_server import COSINE, FakeServer, FakeTrial
from tests.unit.workers.in_process import working
from workers.child.gauge import Gauge
from workers.monitor.live_table import LiveTable, is_watched
from workers.monitor.pace import Pace
from workers.monitor.trial_progress import Progress, Usage


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def leased(number: int) -> LeasedTrial:
    keys = {"trial": f"t{number}", "number": number, "attempt": 1, "purpose": "search", "seed": 0, "checkpoint": None}
    return LeasedTrial.model_validate(keys | {"schedule": COSINE, "horizon_fraction": 1.0})


def test_the_speed_is_that_of_the_last_seconds() -> None:
    pace = Pace(horizon_steps=10_000, now=0.0)
    assert pace.speed(0.0) is None
    for second in range(30):
        pace.record(100 * second, float(second))
    assert pace.speed(29.0) == 100.0
    for second in range(30, 60):
        pace.record(2900 + 10 * (second - 29), float(second))
    assert pace.speed(59.0) == 10.0, "of the faster time before nothing is left"
    assert pace.speed(80.0) == 0.0, "it stands still"


def test_a_resumed_trials_first_step_is_no_speed() -> None:
    pace = Pace(horizon_steps=10_000, now=0.0)
    pace.record(5000, 1.0)
    assert pace.speed(1.0) is None
    pace.record(5030, 2.0)
    assert pace.speed(2.0) == 30.0


def test_what_a_worker_tells_is_of_trials_under_way_alone() -> None:
    clock = Clock()
    progress = Progress(clock)
    trial = leased(3)
    progress.start("s", trial)
    assert [(line.study, line.trial, line.progress) for line in progress.lines()] == [("s", trial, None)]
    progress.open("t3", 1000)
    assert progress.of("t3") is None, "no step is done"
    progress.step("t3", 10)
    clock.now += 2
    progress.step("t3", 30)
    progress.measured(Usage(memory_bytes=5, utilisation=0.5))
    told = progress.of("t3")
    assert told is not None
    assert told.model_dump() == {
        "steps_done": 30,
        "horizon_steps": 1000,
        "steps_per_second": 10.0,
        "device_memory_bytes": 5,
        "device_utilisation": 0.5,
    }
    progress.end("t3")
    assert progress.of("t3") is None
    assert progress.lines() == []
    assert progress.step("t3", 31) is None, "a late word of it is nothing"


def test_beats_and_results_tell_how_a_trial_goes(tmp_path: Path) -> None:
    trial = FakeTrial("t1")
    task = {"name": "digits", "params": {"model": "mlp", "epochs": 40}}
    with FakeServer(trial, task=task) as server:
        server.beat_seconds = 0.02
        with working(server, tmp_path):
            server.wait_until(lambda: trial.finishes)
    while_under_way = [told for told in trial.progress[:-1] if told is not None]
    assert while_under_way, "a beat told it"
    for told in while_under_way:
        assert 0 < told["steps_done"] <= told["horizon_steps"] == 40 * 23
    assert trial.progress[-1]["steps_done"] == 40 * 23
    assert trial.progress[-1]["steps_per_second"] > 0


def test_the_gauge_tells_memory_and_how_busy_a_cpu_is() -> None:
    gauge = Gauge(torch.device("cpu"))
    usage = gauge.read()
    assert usage.memory_bytes is not None
    assert 50 << 20 < usage.memory_bytes < 1 << 40, "torch alone is larger"
    assert usage.utilisation is not None
    assert 0 <= usage.utilisation <= 1
    assert gauge.read() is usage, "it does not look all the time"


def test_a_gpu_that_does_not_tell_how_busy_it_is_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(device: torch.device) -> int:
        asked.append(device)
        raise ModuleNotFoundError("pynvml")

    monkeypatch.setattr(torch.cuda, "utilization", refuse)
    gauge = Gauge(torch.device("cuda", 0))
    assert [gauge._cuda_utilisation(), gauge._cuda_utilisation()] == [None, None]
    assert asked == [torch.device("cuda", 0)]


def test_the_picture_has_a_row_for_each_trial_and_says_when_there_is_none() -> None:
    clock = Clock()
    progress = Progress(clock)
    screen = io.StringIO()
    picture = LiveTable(progress, Console(file=screen, force_terminal=True, width=120))
    with picture:
        picture._live.refresh()
        assert "waiting for a trial" in screen.getvalue()
        for number in range(12):
            progress.start("study-1", leased(number))
            progress.open(f"t{number}", 1000)
        progress.step("t0", 100)
        clock.now += 4
        progress.step("t0", 250)
        progress.measured(Usage(3 << 30, 0.97))
        picture._live.refresh()
    said = screen.getvalue()
    for part in ("250/1000 25%", "37.5", "3.0 GiB", "97%", "0:00:20", "and 4 more"):
        assert part in said
    assert said.rindex("\x1b[?25h") > said.rindex("\x1b[?25l"), "the cursor is there again"


@pytest.mark.parametrize("width", [80, 60])
def test_a_narrow_terminal_shows_whole_rows(width: int) -> None:
    clock = Clock()
    progress = Progress(clock)
    screen = io.StringIO()
    picture = LiveTable(progress, Console(file=screen, width=width))
    for number in range(12):
        progress.start("0123456789abcdef" * 2, leased(number))
        progress.open(f"t{number}", 100_000)
    progress.measured(Usage(3 << 30, 0.97))
    picture._console.print(picture.table())
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    for part in ("01234567", "and 4 more"):
        assert part in screen.getvalue()
    assert len(lines) == 10, "a head, eight trials, and how many more"


@pytest.mark.parametrize(
    ("style", "level", "watched"), [("console", "info", True), ("json", "info", False), ("console", "debug", False)]
)
def test_a_table_is_for_a_terminal_with_lines_for_people(
    style: str, level: str, watched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stderr", Terminal())
    assert is_watched(style, level) is watched
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert not is_watched(style, level)

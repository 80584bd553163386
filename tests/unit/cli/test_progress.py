"""The output of `lehr watch` on a terminal and in a pipe."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from lehr.cli.display import progress
from lehr.cli.display.progress import Lines, Picture, view
from lehr.cli.follow import Sighting
from lehr.wire.studies import Study
from lehr.wire.trials import Trial
from tests.unit.client.stub import study, trial


def seen(*trials: dict[str, Any], silent_seconds: float | None = None, **changes: Any) -> Sighting:
    found = tuple(Trial.model_validate(each) for each in trials)
    return Sighting(Study.model_validate(study(**changes)), found, silent_seconds)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    text = io.StringIO()
    monkeypatch.setattr(progress, "err", Console(file=text, force_terminal=True, width=120, height=40))
    return text


def test_a_terminal_shows_trials_done_best_so_far_and_time_left(screen: io.StringIO) -> None:
    best = {"trial": 2, "value": 0.9712, "schedule": {"family": "constant", "start_lr": 0.1, "end_lr": 0.1}}
    with view() as shown:
        assert isinstance(shown, Picture)
        shown.show(seen(best=best))
    for part in ("3/10 trials done", "best val_accuracy 0.9712", "time left 0:00:07", "━"):
        assert part in screen.getvalue()


def test_a_terminal_keeps_the_last_finished_trials_only(screen: io.StringIO) -> None:
    with Picture() as shown:
        shown.show(seen(*(trial(number, value=number / 100) for number in range(20))))
    assert "0.19" in screen.getvalue()
    assert "0.11" not in screen.getvalue()


def test_a_silent_server_is_told_on_a_terminal(screen: io.StringIO) -> None:
    with Picture() as shown:
        shown.show(seen(silent_seconds=65.0))
    assert "has not responded for 0:01:05" in screen.getvalue()


def test_a_pipe_gets_one_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    for sighting in (seen(), seen(), seen(silent_seconds=1.0), seen(silent_seconds=2.0), seen(), seen(state="PAUSED")):
        lines.show(sighting)
    said = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in said] == [
        "mine RUNNING",
        "the server has not responded; retrying (Ctrl-C stops following",
        "the server responds again",
        "mine PAUSED",
    ]

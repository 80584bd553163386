"""Shows a study's progress: a live display in a terminal, otherwise a line for each change."""

from __future__ import annotations

from collections import deque
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from lehr.cli.display.output import err, say
from lehr.cli.display.tables import best_text, duration, state_text, trials_table
from lehr.cli.follow import Sighting
from lehr.wire.studies import Study
from lehr.wire.trials import Trial

SHOWN_TRIALS = 8
BAR_WIDTH = 40


class View(Protocol):
    """A display of a study's progress."""

    def show(self, sighting: Sighting) -> None: ...


def view() -> AbstractContextManager[View]:
    """A live display if stderr is a terminal, otherwise lines."""
    return Picture() if err.is_terminal else nullcontext(Lines())


class Picture:
    """A live display: progress bar, best trial so far, time left and the last finished trials."""

    def __init__(self) -> None:
        self._live = Live(console=err, auto_refresh=False, transient=False)
        self._last: deque[Trial] = deque(maxlen=SHOWN_TRIALS)

    def __enter__(self) -> Picture:
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, sighting: Sighting) -> None:
        self._last.extend(sighting.finished)
        self._live.update(self._picture(sighting), refresh=True)

    def _picture(self, sighting: Sighting) -> RenderableType:
        study = sighting.study
        parts: list[RenderableType] = [_headline(study), _bar(study), Text(best_text(study))]
        if study.reason:
            parts.append(Text(study.reason, style="yellow"))
        if sighting.silent_seconds is not None:
            parts.append(Text(_silence(sighting.silent_seconds), style="yellow"))
        if self._last:
            parts.append(trials_table(self._last, study.spec["objective"]["metric"]))
        return Group(*parts)


class Lines:
    """Prints one line for each change, for logs and pipes."""

    def __init__(self) -> None:
        self._line = ""
        self._was_silent = False

    def show(self, sighting: Sighting) -> None:
        silent = sighting.silent_seconds is not None
        if silent and not self._was_silent:
            say(_silence(0.0))
        elif self._was_silent and not silent:
            say("the server responds again")
        self._was_silent = silent
        line = _summary(sighting.study)
        if line != self._line and not silent:
            self._line = line
            say(f"{line}, {_time_left(sighting.study)}")


def _headline(study: Study) -> Text:
    return Text.assemble((study.name, "bold"), "  ", state_text(study.state), f"  {study.study_id}")


def _bar(study: Study) -> RenderableType:
    progress = study.progress
    row = Table.grid(Column(max_width=BAR_WIDTH), Column(no_wrap=True), padding=(0, 2), expand=True)
    bar = ProgressBar(total=max(progress.planned, 1), completed=progress.finished)
    done = f"{progress.finished}/{progress.planned} trials done"
    row.add_row(bar, f"{done}  {_running(study)}  {_time_left(study)}")
    return row


def _summary(study: Study) -> str:
    """The text whose changes are printed; without the time left, which changes all the time."""
    progress = study.progress
    parts = [f"{study.name} {study.state}", f"{progress.finished}/{progress.planned} trials done", best_text(study)]
    return ", ".join([*parts, *([study.reason] if study.reason else [])])


def _running(study: Study) -> str:
    return f"{study.progress.trials.get('RUNNING', 0)} running"


def _time_left(study: Study) -> str:
    return "finished" if study.finished_at else f"time left {duration(study.progress.eta_seconds)}"


def _silence(seconds: float) -> str:
    since = f" for {duration(seconds)}" if seconds >= 1 else ""
    return f"the server has not responded{since}; retrying (Ctrl-C stops following, not the study)"

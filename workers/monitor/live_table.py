"""The worker's live table of running trials, redrawn in place below the log on a terminal."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Literal

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from lehr.terminal import CleanConsole, Rows
from lehr.wire.training import CELLS, in_cells
from workers.monitor.trial_progress import Progress

SHOWN_TRIALS = 8
REDRAWS_PER_SECOND = 2


class CurrentErrors:
    """Writes to the current `sys.stderr`, which the live table replaces in order to print log lines above itself.

    Ignores a full disk or a closed pipe, so that logging cannot end a training.
    """

    def write(self, text: str) -> int:
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def is_watched(style: Literal["console", "json"], level: str) -> bool:
    """Whether to show the live table: on a terminal, except with a JSON or debug log."""
    return sys.stderr.isatty() and style == "console" and level != "debug"


def view(progress: Progress, watched: bool) -> AbstractContextManager[object]:
    """A context that shows the live table if `watched`; otherwise the log has the same numbers every 15 s."""
    return LiveTable(progress) if watched else nullcontext()


class LiveTable:
    """The table, redrawn by a background thread from the latest progress."""

    def __init__(self, progress: Progress, console: Console | None = None) -> None:
        self._progress = progress
        self._console = console or CleanConsole(stderr=True, highlight=False)
        self._live = Live(
            console=self._console,
            get_renderable=self.table,
            refresh_per_second=REDRAWS_PER_SECOND,
            transient=True,
            redirect_stdout=False,
        )

    def __enter__(self) -> LiveTable:
        self._live.start()
        # A second Ctrl-C ends the worker at once, which would leave the terminal without a cursor.
        self._console.show_cursor(True)
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def table(self) -> RenderableType:
        lines = self._progress.lines()
        if not lines:
            return Text("waiting for a trial", style="dim")
        table = Rows("study", "trial", "family", *CELLS, ids=("study",), spare=("memory", "busy", "family"))
        for line in lines[:SHOWN_TRIALS]:
            number, family = str(line.trial.number), line.trial.schedule.family
            table.add_row(line.study, number, family, *in_cells(line.progress))
        if len(lines) > SHOWN_TRIALS:
            table.add_row(f"and {len(lines) - SHOWN_TRIALS} more")
        return table

"""What a worker trains, for whoever watches it: a table on a terminal, redrawn in place below the log."""

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
    """Standard error as it is at the moment: lines of the log go above the table while there is one.

    A full disk or a closed pipe there does not end the training that a line is about.
    """

    def write(self, text: str) -> int:
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def is_watched(style: Literal["console", "json"], level: str) -> bool:
    """Whether someone looks on. Programs that read the log, and a debug log's flood, get lines alone."""
    return sys.stderr.isatty() and style == "console" and level != "debug"


def view(progress: Progress, watched: bool) -> AbstractContextManager[object]:
    """The table, where it is watched; nothing elsewhere: the log tells the same every 15 s."""
    return Picture(progress) if watched else nullcontext()


class Picture:
    """Redrawn by a thread of its own, from what training told last."""

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

    def __enter__(self) -> Picture:
        self._live.start()
        # A worker may leave at once, on a second Ctrl-C: the terminal must not stay without a cursor then.
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

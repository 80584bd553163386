"""All commands, gathered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

import lehr
from lehr.cli.commands import (
    control,
    demo,
    diagnosis,
    exporting,
    forecast,
    front,
    leaderboard,
    modules,
    preview,
    range_test,
    studies,
    transfer,
    up,
)
from lehr.cli.commands.data import app as data
from lehr.cli.display.output import write
from lehr.cli.failures import LehrGroup

MACHINES = "Run lehr"
STUDIES = "Studies"
SCHEDULES = "Schedules"

app = typer.Typer(
    name="lehr", cls=LehrGroup, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich"
)


def _print_version(wanted: bool) -> None:
    if wanted:
        write(lehr.__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Finds the learning-rate schedule to train a model with."""


COMMANDS: tuple[tuple[str, tuple[Callable[..., None], ...]], ...] = (
    (MACHINES, (up.up, modules.serve, modules.worker, modules.migrate, demo.demo, control.tasks, control.workers)),
    (STUDIES, (studies.submit, studies.watch, studies.status, studies.best, leaderboard.leaderboard)),
    (STUDIES, (diagnosis.diagnose, transfer.transfer, front.front, forecast.forecast)),
    (STUDIES, (range_test.range_test, range_test.range_tests)),
    (STUDIES, (control.pause, control.resume, control.stop, control.cancel, control.delete, control.enqueue)),
    (SCHEDULES, (preview.preview, exporting.export)),
)
for panel, commands in COMMANDS:
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(data, name="data", rich_help_panel=MACHINES)

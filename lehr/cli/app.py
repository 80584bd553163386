"""All commands, gathered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

import lehr
from lehr.cli import control, demo, modules, preview, studies, up
from lehr.cli.failures import LehrGroup
from lehr.cli.output import write

MACHINES = "Run lehr"
STUDIES = "Studies"
SCHEDULES = "Schedules"

app = typer.Typer(
    name="lehr", cls=LehrGroup, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich"
)


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Finds the learning-rate schedule to train a model with."""
    if version:
        write(lehr.__version__)
        raise typer.Exit


COMMANDS: tuple[tuple[str, tuple[Callable[..., None], ...]], ...] = (
    (MACHINES, (up.up, modules.serve, modules.worker, modules.migrate, demo.demo, control.tasks, control.workers)),
    (STUDIES, (studies.submit, studies.watch, studies.status, studies.best)),
    (STUDIES, (control.pause, control.resume, control.stop, control.cancel, control.delete, control.enqueue)),
    (SCHEDULES, (preview.preview,)),
)
for panel, commands in COMMANDS:
    for command in commands:
        app.command(rich_help_panel=panel)(command)

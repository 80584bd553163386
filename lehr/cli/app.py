"""The root command of the CLI, with the list of all commands."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import lehr
from lehr.cli.display.output import write
from lehr.cli.failures import LehrGroup
from lehr.cli.lazy import LazyCommand

MACHINES = "Run lehr"
STUDIES = "Studies"
SCHEDULES = "Schedules"

COMMANDS = (
    LazyCommand(
        "up",
        "up:up",
        MACHINES,
        "Run a server and workers on this machine, with SQLite. Ctrl-C ends them; studies stay and continue next time.",
    ),
    LazyCommand("serve", "modules:serve", MACHINES, "Run the server alone."),
    LazyCommand("worker", "modules:worker", MACHINES, "Run one worker."),
    LazyCommand(
        "migrate", "modules:migrate", MACHINES, "Upgrade a database to the newest schema. `lehr up` does this itself."
    ),
    LazyCommand(
        "demo",
        "demo:demo",
        MACHINES,
        "Run a whole study on handwritten digits: submit, search, confirm, answer. Takes about a minute.",
    ),
    LazyCommand("tasks", "control:tasks", MACHINES, "List the tasks that can be trained."),
    LazyCommand("workers", "control:workers", MACHINES, "List the workers and what they train."),
    LazyCommand("submit", "studies:submit", STUDIES, "Submit a study. Prints its id."),
    LazyCommand(
        "watch", "studies:watch", STUDIES, "Follow a study until it finishes. Ctrl-C stops following, not the study."
    ),
    LazyCommand(
        "status",
        "status:status",
        STUDIES,
        "List all studies, or show one: its counts, best schedule, warnings, and why trials failed.",
    ),
    LazyCommand("best", "studies:best", STUDIES, "Show the best schedule, how certain that is, and code that uses it."),
    LazyCommand(
        "leaderboard",
        "leaderboard:leaderboard",
        STUDIES,
        "Rank the families by their best trial: the answer's family first, then at an equal number of trials.",
    ),
    LazyCommand(
        "diagnose",
        "diagnosis:diagnose",
        STUDIES,
        "Report what is wrong with a study, or with one of its trials, and how to fix it.",
    ),
    LazyCommand(
        "transfer", "transfer:transfer", STUDIES, "Rescale the best schedule to another horizon, batch size or width."
    ),
    LazyCommand(
        "front",
        "front:front",
        STUDIES,
        "Show the trials that reach a target soonest, and those that end better but take more steps.",
    ),
    LazyCommand(
        "forecast",
        "forecast:forecast",
        STUDIES,
        "Predict what a schedule will reach, and what a longer or shorter training would give.",
    ),
    LazyCommand(
        "range-test",
        "range_test:range_test",
        STUDIES,
        "Sweep a task's learning rate: show where the loss starts to fall, is lowest, and diverges.",
    ),
    LazyCommand("range-tests", "range_test:range_tests", STUDIES, "List the standalone range tests, newest first."),
    LazyCommand("pause", "control:pause", STUDIES, "Pause a study: running trials finish, no new ones start."),
    LazyCommand("resume", "control:resume", STUDIES, "Resume a paused study."),
    LazyCommand("stop", "control:stop", STUDIES, "Stop searching: let running trials finish, then confirm and answer."),
    LazyCommand("cancel", "control:cancel", STUDIES, "Cancel a study at once."),
    LazyCommand("delete", "control:delete", STUDIES, "Delete a finished study and all its trials."),
    LazyCommand(
        "enqueue",
        "control:enqueue",
        STUDIES,
        "Train a schedule of your own within the study's budget. Prints the trial's number.",
    ),
    LazyCommand(
        "preview",
        "preview:preview",
        SCHEDULES,
        "Draw one or more schedules in the terminal. Rates that are not given get example values.",
    ),
    LazyCommand(
        "export",
        "exporting:export",
        SCHEDULES,
        "Write a schedule as code, flags or a table for a framework. What it keeps and loses goes to stderr.",
    ),
    LazyCommand("data", "data:app", MACHINES, "List and fetch public data sets, and look at your own data."),
)


class RootGroup(LehrGroup):
    """The commands of COMMANDS."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {str(command.name): command for command in COMMANDS}


app = typer.Typer(
    name="lehr", cls=RootGroup, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich"
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
    """Find the best learning-rate schedule for a training task."""

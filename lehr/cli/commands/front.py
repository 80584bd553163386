"""`lehr front`: shows the trade-off between the final value and the steps to a target."""

from __future__ import annotations

from typing import Annotated

import typer

from lehr.cli import settings
from lehr.cli.commands.studies import StudyArgument
from lehr.cli.display import output
from lehr.cli.display.output import JsonOption, say
from lehr.cli.display.tables import front_table
from lehr.cli.inputs.flags import naming
from lehr.cli.inputs.study_names import find_study
from lehr.cli.settings import ServerOption
from lehr.client import Client
from lehr.wire.front import Aim


def front(
    study: StudyArgument,
    target: Annotated[
        float | None,
        typer.Option("--target", help="Value of the objective to reach; the answer's target by default."),
    ] = None,
    robust: Annotated[
        bool, typer.Option("--robust", help="Add robustness to the learning rate as a third aim.")
    ] = False,
    json: JsonOption = False,
    server: ServerOption = settings.DEFAULT_SERVER,
) -> None:
    """Show the trials that reach a target soonest, and those that end better but take more steps."""
    with Client(server) as client, naming({"target": "--target"}):
        aims: tuple[Aim, ...] = ("steps", "rate_sensitivity") if robust else ("steps",)
        found = client.front(find_study(client, study).study_id, target, aims=aims)
    if json:
        output.document(found.model_dump(mode="json"))
        return
    if found.items:
        output.show(front_table(found))
    output.warn(found.warnings)
    say(f"{found.reached} of {found.examined} trials reached {found.metric} {found.target:g}")

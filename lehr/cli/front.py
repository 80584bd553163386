"""The command that shows how good against how soon."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from lehr.cli import output, settings
from lehr.cli.naming import find_study
from lehr.cli.output import JsonOption, say
from lehr.cli.settings import ServerOption
from lehr.cli.studies import StudyArgument
from lehr.cli.tables import number, rates
from lehr.client import Client


def front(
    study: StudyArgument,
    target: Annotated[float, typer.Option("--target", help="The value of the objective to reach.")],
    json: JsonOption = False,
    server: ServerOption = settings.DEFAULT_SERVER,
) -> None:
    """Show the trials that reach a target soonest, and those that end better for more steps."""
    with Client(server) as client:
        found = client.front(find_study(client, study).study_id, target)
    if json:
        output.document(found.model_dump(mode="json"))
        return
    table = Table("trial", "steps to it", found.metric, "family", "rates", box=None, pad_edge=False)
    for item in found.items:
        table.add_row(str(item.trial), str(item.steps), number(item.value), item.schedule.family, rates(item.schedule))
    if found.items:
        output.show(table)
    say(f"{found.reached} of {found.examined} trials reached {found.metric} {target:g}")

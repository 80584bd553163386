"""The command that says what a training will come to."""

from __future__ import annotations

from json import dumps
from typing import Annotated

import typer
from rich.text import Text

from lehr.cli import settings
from lehr.cli.commands.studies import StudyArgument
from lehr.cli.display import output
from lehr.cli.display.output import JsonOption, say
from lehr.cli.display.tables import interval, number, rates
from lehr.cli.inputs.flags import naming
from lehr.cli.inputs.schedule_file import read_schedules
from lehr.cli.inputs.study_names import find_study
from lehr.cli.settings import ServerOption
from lehr.client import Client
from lehr.errors import ConflictError
from lehr.terminal import Rows
from lehr.wire.forecasts import Forecast
from lehr.wire.horizon import MAX_HORIZON_STEPS

FLAGS = {"schedule": "--schedule", "horizon_steps": "--horizon"}


def forecast(
    *,
    study: StudyArgument,
    schedule: Annotated[
        str | None,
        typer.Option("--schedule", metavar="FILE|-", help="A schedule as JSON or YAML; default: the best so far."),
    ] = None,
    horizon: Annotated[
        int | None, typer.Option("--horizon", min=1, max=MAX_HORIZON_STEPS, help="Steps; default: the study's.")
    ] = None,
    enqueue: Annotated[
        bool, typer.Option("--enqueue", help="Have the schedule that is expected to be best trained.")
    ] = False,
    json: JsonOption = False,
    server: ServerOption = settings.DEFAULT_SERVER,
) -> None:
    """Predict what a schedule will reach, and what a longer or shorter training would give."""
    asked = read_schedules(schedule)[0] if schedule is not None else None
    with Client(server) as client:
        with naming(FLAGS):
            found = client.forecast(find_study(client, study).study_id, asked, horizon_steps=horizon)
        if enqueue:
            _enqueue(client, found)
    if json:
        output.document(found.model_dump(mode="json"))
    else:
        _show(found)


def _enqueue(client: Client, found: Forecast) -> None:
    if found.suggestion is None:
        raise ConflictError("The study knows too little to suggest a schedule; nothing was enqueued.")
    trial = client.enqueue(found.study_id, found.suggestion.schedule, origin="law")
    say(f"trial {trial.number} will train the schedule that is expected to be best")


def _show(found: Forecast) -> None:
    title = f"{found.schedule.family} {rates(found.schedule)} over {found.horizon_steps} steps"
    output.show(Text(title, style="bold"))
    table = Rows("loss", "at the end", "90% interval", "rests on")
    for loss in found.losses:
        known = f"{loss.curves} trainings" if loss.doubt is None else "not known"
        table.add_row(loss.name, number(loss.value), Text(interval(loss.interval90)), known)
    output.show(table)
    for loss in found.losses:
        if loss.doubt is not None:
            say(f"{loss.name} is not known: {loss.doubt.message}", "yellow")
    if len(found.horizons) > 1:
        longer = Rows("steps", found.losses[0].name, "90% interval")
        for each in found.horizons:
            longer.add_row(str(each.horizon_steps), number(each.value), Text(interval(each.interval90)))
        output.show(longer)
    if found.suggestion is not None:
        tried = found.suggestion
        say(f"to try: {number(tried.value)} {interval(tried.interval90)} is expected of")
        # In one line, however long: it is there to be pasted.
        output.write(dumps(tried.schedule.to_dict()))

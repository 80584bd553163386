"""`lehr forecast`: predicts the final loss of a training."""

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
        typer.Option("--schedule", metavar="FILE|-", help="Schedule as JSON or YAML; the best so far by default."),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option("--horizon", min=1, max=MAX_HORIZON_STEPS, help="Number of steps; the study's by default."),
    ] = None,
    enqueue: Annotated[bool, typer.Option("--enqueue", help="Train the suggested schedule as a trial.")] = False,
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
        raise ConflictError("The study has too little data to suggest a schedule; nothing was enqueued.")
    trial = client.enqueue(found.study_id, found.suggestion.schedule, origin="law")
    say(f"enqueued the suggested schedule as trial {trial.number}")


def _show(found: Forecast) -> None:
    title = f"{found.schedule.family} {rates(found.schedule)} over {found.horizon_steps} steps"
    output.show(Text(title, style="bold"))
    table = Rows("loss", "at the end", "90% interval", "based on")
    for loss in found.losses:
        known = f"{loss.curves} trainings" if loss.doubt is None else "not known"
        table.add_row(loss.name, number(loss.value), Text(interval(loss.interval90)), known)
    output.show(table)
    output.warn(found.warnings)
    for loss in found.losses:
        if loss.doubt is not None:
            say(f"{loss.name} is not known: {loss.doubt.message}", "yellow")
    if len(found.horizons) > 1:
        longer = Rows("steps", found.losses[0].name, "90% interval")
        for horizon in found.horizons:
            longer.add_row(str(horizon.horizon_steps), number(horizon.value), Text(interval(horizon.interval90)))
        output.show(longer)
    if found.suggestion is not None:
        suggested = found.suggestion
        say(f"suggested schedule, expected to reach {number(suggested.value)} {interval(suggested.interval90)}:")
        # On one line, so that it can be pasted.
        output.write(dumps(suggested.schedule.to_dict()))

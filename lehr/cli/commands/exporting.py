"""`lehr export`: writes a schedule for another framework. Needs no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lehr.cli.display import output
from lehr.cli.display.output import JsonOption
from lehr.cli.inputs.flags import naming
from lehr.cli.inputs.schedule_file import named_schedules, parameters
from lehr.errors import Fault, InvalidValueError, LehrError
from lehr.schedules.portable import FRAMEWORKS
from lehr.schedules.portable import export as export_schedule
from lehr.wire.schedules import MAX_HORIZON_STEPS

FRAMEWORK_HELP = "Target: " + ", ".join(f"{target.name} ({target.title})" for target in FRAMEWORKS.values()) + "."


def export(
    name: Annotated[
        str,
        typer.Argument(metavar="FILE|FAMILY", help="JSON or YAML file with a schedule, - for stdin, or a family."),
    ],
    *,
    to: Annotated[str, typer.Option(metavar="FRAMEWORK", help=FRAMEWORK_HELP)] = "torch",
    horizon: Annotated[int, typer.Option(min=1, max=MAX_HORIZON_STEPS, help="Number of steps of the training.")],
    param: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="Parameter of the family. Repeatable.")
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead of stdout.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write a schedule as code, flags or a table for a framework. What it keeps and loses goes to stderr."""
    schedules = named_schedules(name, parameters(param))
    if len(schedules) != 1:
        raise InvalidValueError(
            Fault("FILE", "contains several schedules", "one schedule", len(schedules), "Export one at a time.")
        )
    with naming({"framework": "--to", "horizon_steps": "--horizon"}):
        exported = export_schedule(schedules[0], to, horizon)
    if json:
        document = {"framework": exported.framework, "code": exported.code, "exact": exported.exact}
        output.document({**document, "form": exported.form, "note": exported.note})
        return
    if into is None:
        output.write(exported.code)
    else:
        try:
            into.write_text(exported.code, encoding="utf-8")
        except OSError as error:
            raise LehrError(f"{into} cannot be written: {error.strerror}.") from error
    output.say(exported.note if exported.exact else f"not exact: {exported.note}", "" if exported.exact else "yellow")

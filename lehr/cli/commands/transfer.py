"""The command that carries a study's best schedule over to a larger training."""

from __future__ import annotations

from json import dumps
from typing import Annotated, Any

import typer
from rich.text import Text

from lehr.cli import settings
from lehr.cli.commands.studies import StudyArgument
from lehr.cli.display import output
from lehr.cli.display.output import JsonOption, say
from lehr.cli.display.tables import rates
from lehr.cli.inputs.flags import naming
from lehr.cli.inputs.study_names import find_study
from lehr.cli.settings import ServerOption
from lehr.client import Client
from lehr.errors import Fault, InvalidValueError, suggest
from lehr.terminal import Rows
from lehr.wire.transfer import Transfer

FLAGS = {
    "horizon_steps": "--steps",
    "batch_size": "--batch-size",
    "width": "--width",
    "optimizer": "--optimizer",
    "horizon_rule": "--rule horizon",
    "batch_rule": "--rule batch",
    "width_rule": "--rule width",
    "origin.horizon_steps": "--from steps",
    "origin.batch_size": "--from batch",
    "origin.width": "--from width",
}


def transfer(
    *,
    study: StudyArgument,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="The new horizon.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", min=1, help="The new batch size.")] = None,
    width: Annotated[int | None, typer.Option("--width", min=1, help="The new width of the model.")] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="WHAT=RULE", help="batch=linear, horizon=power, width=mup, …; may be repeated."),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="WHAT=N", help="steps=N, batch=N, width=N: what the task does not tell."),
    ] = None,
    optimizer: Annotated[str | None, typer.Option("--optimizer", help="Where the task does not tell it.")] = None,
    json: JsonOption = False,
    server: ServerOption = settings.DEFAULT_SERVER,
) -> None:
    """Rescale the best schedule to another horizon, batch size or width."""
    told = {"horizon_steps": steps, "batch_size": batch_size, "width": width, "optimizer": optimizer}
    told |= {f"{what}_rule": name for what, name in _pairs("--rule", rule, ("batch", "horizon", "width")).items()}
    sizes = _pairs("--from", origin, ("steps", "batch", "width"))
    names = {"steps": "horizon_steps", "batch": "batch_size", "width": "width"}
    document: dict[str, Any] = {**told, "origin": {names[what]: _whole(size) for what, size in sizes.items()}}
    with Client(server) as client, naming(FLAGS):
        moved = client.transfer(find_study(client, study).study_id, document)
    if json:
        output.document(moved.model_dump(mode="json"))
    else:
        _show(moved)


def _pairs(option: str, given: list[str] | None, known: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for each in given or []:
        what, equals, value = each.partition("=")
        if what not in known or not equals:
            bound = " or ".join(f"{name}=…" for name in known)
            remedy = "Write it in this form." if what in known else suggest(what, known, "one")
            raise InvalidValueError(Fault(option, "is not understood", bound, each, remedy))
        pairs[what] = value
    return pairs


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise InvalidValueError(Fault("--from", "is no whole number", "1 or more", text, "Give a number."))
    return int(text)


def _show(moved: Transfer) -> None:
    output.show(Text(f"{moved.schedule.family} {rates(moved.schedule)} over {moved.horizon_steps} steps", style="bold"))
    table = Rows("", "from", "to", "rates times", "rule", "rests on")
    for change in moved.rescalings:
        rule = Text(f"{change.rule}: {change.formula}")
        told = (f"{change.factor:.4g}", rule, Text(f"{change.rests_on} ({change.source})"))
        table.add_row(change.dimension, str(change.origin), str(change.target), *told)
    output.show(table)
    for name, factor in moved.groups.items():
        output.show(Text(f"{name}: {factor:.4g} times the original's rates"))
    for caution in moved.cautions:
        say(f"caution: {caution}", "yellow")
    output.write(dumps(moved.schedule.to_dict()))

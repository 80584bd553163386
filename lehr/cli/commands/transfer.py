"""`lehr transfer`: rescales a study's best schedule to another horizon, batch size or width."""

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
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="New horizon, in steps.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", min=1, help="New batch size.")] = None,
    width: Annotated[int | None, typer.Option("--width", min=1, help="New width of the model.")] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            "--rule", metavar="SIZE=RULE", help="Scaling rule: batch=linear, horizon=power, width=mup, …. Repeatable."
        ),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="SIZE=N",
            help="Size used by the study (steps=N, batch=N or width=N), if not in the task's parameters. Repeatable.",
        ),
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option("--optimizer", help="Optimizer of the study, if not in the task's parameters.")
    ] = None,
    json: JsonOption = False,
    server: ServerOption = settings.DEFAULT_SERVER,
) -> None:
    """Rescale the best schedule to another horizon, batch size or width."""
    target = {"horizon_steps": steps, "batch_size": batch_size, "width": width, "optimizer": optimizer}
    target |= {f"{size}_rule": name for size, name in _pairs("--rule", rule, ("batch", "horizon", "width")).items()}
    sizes = _pairs("--from", origin, ("steps", "batch", "width"))
    names = {"steps": "horizon_steps", "batch": "batch_size", "width": "width"}
    document: dict[str, Any] = {**target, "origin": {names[size]: _whole(text) for size, text in sizes.items()}}
    with Client(server) as client, naming(FLAGS):
        moved = client.transfer(find_study(client, study).study_id, document)
    if json:
        output.document(moved.model_dump(mode="json"))
    else:
        _show(moved)


def _pairs(option: str, given: list[str] | None, known: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for pair in given or []:
        name, equals, value = pair.partition("=")
        if name not in known or not equals:
            bound = " or ".join(f"{name}=…" for name in known)
            remedy = f"Write {name}=…." if name in known else suggest(name, known, "one")
            raise InvalidValueError(Fault(option, "is not valid", bound, pair, remedy))
        pairs[name] = value
    return pairs


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise InvalidValueError(Fault("--from", "is not an integer", "1 or more", text, "For example, batch=128."))
    return int(text)


def _show(moved: Transfer) -> None:
    output.show(Text(f"{moved.schedule.family} {rates(moved.schedule)} over {moved.horizon_steps} steps", style="bold"))
    table = Rows("", "from", "to", "rate factor", "rule", "evidence")
    for change in moved.rescalings:
        rule = Text(f"{change.rule}: {change.formula}")
        evidence = Text(f"{change.rests_on} ({change.source})")
        sizes = str(change.origin), str(change.target)
        table.add_row(change.dimension, *sizes, f"{change.factor:.4g}", rule, evidence)
    output.show(table)
    for name, factor in moved.groups.items():
        output.show(Text(f"{name}: {factor:.4g} times the original's rates"))
    output.warn(moved.warnings)
    for caution in moved.cautions:
        say(f"caution: {caution}", "yellow")
    output.write(dumps(moved.schedule.to_dict()))

"""The command that sweeps the learning rate, and draws what the sweeps say."""

from __future__ import annotations

import math
import time
from typing import Annotated, Any

import typer
from rich.text import Text

from lehr.cli import settings
from lehr.cli.display import output
from lehr.cli.display.output import JsonOption, say
from lehr.cli.display.tables import plot
from lehr.cli.failures import FAILED
from lehr.cli.inputs.flags import naming
from lehr.cli.inputs.study_file import read_study, scalar
from lehr.cli.settings import ServerOption
from lehr.client import Client
from lehr.errors import Fault, InvalidValueError
from lehr.terminal import Rows
from lehr.wire.ranges import RangeCurve, RangePoint, RangeResult, RangeTest
from lehr.wire.studies import FINISHED_STUDY_STATES

KEPT = ("name", "task", "priority", "low", "high", "steps", "seeds")
"""Of a file: what else a study says is not for a range test."""
TASK_FLAGS = {"name": "--task", "task.name": "--task", "task.params": "--param"}
POLL_SECONDS = 0.5
MARGIN_LOSS = 1.1
"""Losses above where it began, by this much of the fall, are drawn at the upper edge."""


def range_test(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE|-]", help="A study or a range test: its task is swept.")
    ] = None,
    *,
    task: Annotated[str | None, typer.Option("--task", help="The task, instead of a file.")] = None,
    param: Annotated[list[str] | None, typer.Option("--param", help="A parameter of it: NAME=VALUE.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Of each sweep: 200 unless told.")] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", help="How many sweeps: 3 unless told.")] = None,
    json: JsonOption = False,
    server: ServerOption = settings.DEFAULT_SERVER,
) -> None:
    """Sweep a task's learning rate: show where the loss starts to fall, is lowest, and diverges."""
    request = _request(file, task, param or [])
    options = {name: value for name, value in {"steps": steps, "seeds": seeds}.items() if value is not None}
    flags = {name: f"--{name}" for name in options} | (TASK_FLAGS if task is not None else {})
    with Client(server) as client:
        with naming(flags):
            found = client.create_range_test(request | options)
        say(f"range test {found.range_test_id} is {found.state}")
        while found.state not in FINISHED_STUDY_STATES:
            time.sleep(POLL_SECONDS)
            found = client.range_test(found.range_test_id)
    _tell(found, json)
    if found.state in ("FAILED", "CANCELLED"):
        raise typer.Exit(FAILED)


def range_tests(json: JsonOption = False, server: ServerOption = settings.DEFAULT_SERVER) -> None:
    """List the standalone range tests, newest first."""
    with Client(server) as client:
        found = list(client.range_tests())
    if json:
        output.document([each.model_dump(mode="json") for each in found])
        return
    if not found:
        say("no range tests yet; `lehr range-test FILE` makes one")
        return
    table = Rows("range test", "name", "task", "state", "bounds", ids=("range test",))
    for each in found:
        known = each.result if each.result is not None and each.result.found else None
        bounds = f"{known.bounds.low:g} to {known.bounds.high:g}" if known and known.bounds else ""
        table.add_row(each.range_test_id, Text(each.name), Text(str(each.task["name"])), each.state, bounds)
    output.show(table)


def _request(file: str | None, task: str | None, params: list[str]) -> dict[str, Any]:
    if (file is None) == (task is None):
        given = "both" if file else "neither"
        remedy = "Give FILE, or --task NAME."
        raise InvalidValueError(Fault("FILE", "names what to sweep, as --task does", "one of the two", given, remedy))
    if task is not None:
        return {"name": task, "task": {"name": task, "params": dict(_parameter(each) for each in params)}}
    document = read_study(file or "")
    asked = document.get("range_test") or {}
    return {**asked, **{key: document[key] for key in KEPT if key in document}}


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidValueError(Fault("--param", "is no assignment", "NAME=VALUE", text, "Write --param epochs=5."))
    return name, scalar(value)


def _tell(found: RangeTest, json: bool) -> None:
    if json:
        output.document(found.model_dump(mode="json"))
        return
    if found.result is None:
        output.write(found.range_test_id)
        return
    result = found.result
    if result.curve is not None:
        output.lines("\n".join(curve_lines(result.curve)))
    say(result.reason)
    if result.found:
        output.show(_points(result))
    if result.bounds is not None:
        output.write(f"space.start_lr  {result.bounds.low:g} to {result.bounds.high:g}")


def curve_lines(curve: RangeCurve) -> list[str]:
    """The smoothed loss over the logarithm of the rate, whose ends are in powers of ten."""
    top = curve.loss[0] + (MARGIN_LOSS - 1) * (curve.loss[0] - min(curve.loss))
    decades = [math.log10(lr) for lr in curve.lr]
    return [
        "loss by log10 of the rate",
        *plot(decades, [min(loss, top) for loss in curve.loss]),
    ]


def _points(result: RangeResult) -> Rows:
    table = Rows("point", "rate", "over seeds")
    for name in ("steepest", "valley", "minimum", "divergence", "held_out_minimum"):
        point: RangePoint | None = getattr(result, name)
        if point is not None:
            over = f"{point.least:g} to {point.greatest:g} ({point.seeds})"
            table.add_row(name.replace("_", " "), f"{point.lr:g}", over)
    return table

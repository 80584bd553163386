"""`lehr range-test`: sweeps the learning rate and plots the loss; `lehr range-tests` lists the tests."""

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
"""Fields of a study file that also apply to a range test."""
TASK_FLAGS = {"name": "--task", "task.name": "--task", "task.params": "--param"}
POLL_SECONDS = 0.5
MARGIN_LOSS = 1.1
"""The top of the plot: higher losses are drawn at the upper edge. 1 is the first loss, 0 the lowest."""


def range_test(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE|-]", help="Study or range test whose task to sweep; - for stdin.")
    ] = None,
    *,
    task: Annotated[str | None, typer.Option("--task", help="Task to sweep, instead of a file.")] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="Parameter of the task. Repeatable.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Steps of each sweep; 200 by default.")] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", help="Number of sweeps; 3 by default.")] = None,
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
    _print_result(found, json)
    if found.state in ("FAILED", "CANCELLED"):
        raise typer.Exit(FAILED)


def range_tests(json: JsonOption = False, server: ServerOption = settings.DEFAULT_SERVER) -> None:
    """List the standalone range tests, newest first."""
    with Client(server) as client:
        found = list(client.range_tests())
    if json:
        output.document([test.model_dump(mode="json") for test in found])
        return
    if not found:
        say("no range tests yet; run one with `lehr range-test FILE`")
        return
    table = Rows("range test", "name", "task", "state", "bounds", ids=("range test",))
    for test in found:
        result = test.result if test.result is not None and test.result.found else None
        bounds = f"{result.bounds.low:g} to {result.bounds.high:g}" if result and result.bounds else ""
        table.add_row(test.range_test_id, Text(test.name), Text(str(test.task["name"])), test.state, bounds)
    output.show(table)


def _request(file: str | None, task: str | None, params: list[str]) -> dict[str, Any]:
    if (file is None) == (task is None):
        given = "both" if file else "neither"
        remedy = "Use FILE or --task NAME."
        message = "and --task are both set" if file else "and --task are both missing"
        raise InvalidValueError(Fault("FILE", message, "exactly one of the two", given, remedy))
    if task is not None:
        return {"name": task, "task": {"name": task, "params": dict(_parameter(param) for param in params)}}
    document = read_study(file or "")
    asked = document.get("range_test") or {}
    return {**asked, **{key: document[key] for key in KEPT if key in document}}


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        remedy = "For example, --param epochs=5."
        raise InvalidValueError(Fault("--param", "is not a NAME=VALUE pair", "NAME=VALUE", text, remedy))
    return name, scalar(value)


def _print_result(found: RangeTest, json: bool) -> None:
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
    """Plot the smoothed loss over the base-10 logarithm of the rate."""
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
            spread = f"{point.least:g} to {point.greatest:g} ({point.seeds})"
            table.add_row(name.replace("_", " "), f"{point.lr:g}", spread)
    return table

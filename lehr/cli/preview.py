"""The command that draws a schedule. It needs no server."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lehr.cli import output
from lehr.cli.output import JsonOption
from lehr.cli.plot import draw
from lehr.cli.studyfile import scalar
from lehr.cli.tables import unicode_output
from lehr.errors import Fault, InvalidValueError
from lehr.schedules import FAMILIES, Schedule, schedule_from_dict
from lehr.wire.schedules import MAX_HORIZON_STEPS, MAX_PREVIEW_POINTS

TOP_LR = 0.1
PLOT_POINTS = 1000


def preview(
    family: Annotated[str, typer.Argument(metavar="FAMILY", help="One of: " + ", ".join(FAMILIES) + ".")],
    *,
    start_lr: Annotated[float | None, typer.Option(help="The rate at the first step.")] = None,
    end_lr: Annotated[float | None, typer.Option(help="The rate at the last step.")] = None,
    peak_lr: Annotated[float | None, typer.Option(help="The highest rate, where one climbs.")] = None,
    warmup_fraction: Annotated[float | None, typer.Option(help="The part of the horizon that climbs to it.")] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A parameter of the family; repeatable.")
    ] = None,
    horizon: Annotated[int, typer.Option(min=1, max=MAX_HORIZON_STEPS, help="How many steps.")] = 1000,
    points: Annotated[int, typer.Option(min=1, max=MAX_PREVIEW_POINTS, help="Rates that --json gives at most.")] = 200,
    log: Annotated[bool, typer.Option("--log", help="Draw the rate on a log axis.")] = False,
    json: JsonOption = False,
) -> None:
    """Draw a schedule in the terminal. Rates that are not given are made up."""
    given = {"start_lr": start_lr, "end_lr": end_lr, "peak_lr": peak_lr, "warmup_fraction": warmup_fraction}
    schedule = complete(family, {name: value for name, value in given.items() if value is not None} | _params(param))
    curve = schedule.curve(horizon, points if json else PLOT_POINTS)
    if json:
        momentum = list(curve.momentum) if curve.momentum else None
        rates = {"step": list(curve.step), "lr": list(curve.lr), "momentum": momentum}
        output.document({"schedule": schedule.to_dict(), "horizon_steps": horizon, **rates})
        return
    plain = not unicode_output()
    lines = [f"{family}: {schedule.formula}", *draw(curve.step, curve.lr, log=log, plain=plain)]
    if curve.momentum:
        lines += ["", "momentum", *draw(curve.step, curve.momentum, height=5, plain=plain)]
    output.write("\n".join(lines))


def complete(family: str, given: dict[str, Any]) -> Schedule:
    """The schedule with these values and, for the rates not given, ones that show its shape."""
    kind = FAMILIES.get(family)
    climbs = "peak_lr" in given or given.get("warmup_fraction", 0) != 0 or (kind is not None and kind.climbs)
    top = given.get("peak_lr", given.get("start_lr", TOP_LR) if not climbs else _above(given))
    top = top if isinstance(top, int | float) and top > 0 else TOP_LR
    made_up: dict[str, Any] = {"start_lr": top / 10 if climbs else top}
    if climbs:
        made_up["peak_lr"] = top
    made_up["end_lr"] = top if family == "constant" else top / 1000
    return schedule_from_dict({"family": family, **made_up, **given})


def _above(given: dict[str, Any]) -> float:
    return float(10 * given["start_lr"]) if "start_lr" in given else TOP_LR


def _params(pairs: list[str] | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for pair in pairs or []:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise InvalidValueError(
                Fault("--param", "is not a name and a value", "NAME=VALUE", pair, "For example --param power=2.")
            )
        values[name.replace("-", "_")] = scalar(text)
    return values

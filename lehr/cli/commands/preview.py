"""`lehr preview`: draws schedules. Needs no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lehr.cli.display import output
from lehr.cli.display.output import JsonOption
from lehr.cli.display.overlay import overlay
from lehr.cli.display.tables import plot, plot_width, unicode_output
from lehr.cli.inputs.schedule_file import named_schedules, parameters
from lehr.errors import LehrError
from lehr.schedules import FAMILIES, Curve, Schedule
from lehr.schedules.portable.picture import Line, describe, picture
from lehr.wire.schedules import MAX_HORIZON_STEPS, MAX_PREVIEW_POINTS

PLOT_POINTS = 1000
FLAGS = {
    "start_lr": "--start-lr",
    "end_lr": "--end-lr",
    "peak_lr": "--peak-lr",
    "warmup_fraction": "--warmup-fraction",
}
NAMES = "Families, or JSON or YAML files with schedules; - for stdin. Families: " + ", ".join(FAMILIES) + "."


def preview(
    names: Annotated[list[str], typer.Argument(metavar="FAMILY|FILE…", help=NAMES)],
    *,
    start_lr: Annotated[float | None, typer.Option(help="Rate at the first step, for families.")] = None,
    end_lr: Annotated[float | None, typer.Option(help="Rate at the last step, for families.")] = None,
    peak_lr: Annotated[float | None, typer.Option(help="Highest rate, for families with a warmup.")] = None,
    warmup_fraction: Annotated[float | None, typer.Option(help="Fraction of the horizon for the warmup.")] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="Parameter of the family. Repeatable.")
    ] = None,
    horizon: Annotated[int, typer.Option(min=1, max=MAX_HORIZON_STEPS, help="Number of steps.")] = 1000,
    points: Annotated[
        int, typer.Option(min=1, max=MAX_PREVIEW_POINTS, help="Maximum number of rates to print with --json.")
    ] = 200,
    log: Annotated[bool, typer.Option("--log", help="Draw the rate on a log axis.")] = False,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write an SVG picture to this file instead of drawing.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Draw one or more schedules in the terminal. Rates that are not given get example values."""
    given = {"start_lr": start_lr, "end_lr": end_lr, "peak_lr": peak_lr, "warmup_fraction": warmup_fraction}
    values = {name: value for name, value in given.items() if value is not None} | parameters(param)
    schedules = [schedule for name in names for schedule in named_schedules(name, values, FLAGS)]
    curves = [schedule.curve(horizon, points if json else PLOT_POINTS) for schedule in schedules]
    if json:
        output.document(_document(schedules, curves, horizon))
    elif svg is not None:
        lines = [Line(describe(schedule), curve) for schedule, curve in zip(schedules, curves, strict=True)]
        _save(svg, picture(lines, log=log))
    elif len(schedules) == 1:
        _draw_one(schedules[0], curves[0], log)
    else:
        _draw_all(schedules, curves, log)


def _document(schedules: list[Schedule], curves: list[Curve], horizon: int) -> dict[str, Any]:
    """The JSON document: one schedule with its rates, or a list of several."""
    rates = [
        {
            "step": list(curve.step),
            "lr": list(curve.lr),
            "momentum": list(curve.momentum) if curve.momentum else None,
        }
        for curve in curves
    ]
    whole = [{"schedule": schedule.to_dict(), **sampled} for schedule, sampled in zip(schedules, rates, strict=True)]
    if len(whole) == 1:
        return {"schedule": whole[0].pop("schedule"), "horizon_steps": horizon, **whole[0]}
    return {"horizon_steps": horizon, "schedules": whole}


def _draw_one(schedule: Schedule, curve: Curve, log: bool) -> None:
    lines = [f"{schedule.family}: {schedule.formula}", *plot(curve.step, curve.lr, log=log)]
    if curve.momentum:
        lines += ["", "momentum", *plot(curve.step, curve.momentum, height=5)]
    output.lines("\n".join(lines))


def _draw_all(schedules: list[Schedule], curves: list[Curve], log: bool) -> None:
    coloured = output.out.is_terminal and not output.out.no_color and unicode_output()
    names = [describe(schedule) for schedule in schedules]
    lines = [(curve.step, curve.lr) for curve in curves]
    output.show(overlay(lines, names, width=plot_width(), log=log, coloured=coloured))
    swung = [(curve.step, curve.momentum, name) for curve, name in zip(curves, names, strict=True) if curve.momentum]
    if swung:
        output.write("\nmomentum")
        shown = [(step, momentum) for step, momentum, _ in swung]
        output.show(overlay(shown, [name for *_, name in swung], width=plot_width(), height=5, coloured=coloured))


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LehrError(f"{path} cannot be written: {error.strerror}.") from error

"""Draws one or more schedules as an SVG image, readable on light and dark pages and by screen readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from lehr.schedules.base import Curve, Schedule
from lehr.schedules.portable.axes import Axis, linear_axis, log_axis, rate_label, step_axis, step_label

WIDTH, LEFT, RIGHT, TOP = 720, 64, 16, 16
RATE_HEIGHT, MOMENTUM_HEIGHT, GAP, LINE_HEIGHT = 280, 90, 44, 20
COLOURS = 6
"""Number of colours; further lines are also dashed."""
STYLE = """
.lehr{font:12px system-ui,sans-serif;background:#fff}
.lehr text{fill:#333}.lehr path{fill:none;stroke-width:2;stroke-linejoin:round}.lehr .grid{stroke:#ddd;stroke-width:1}
.lehr .c0{stroke:#0072b2}.lehr .c1{stroke:#d55e00}.lehr .c2{stroke:#009e73}
.lehr .c3{stroke:#cc79a7}.lehr .c4{stroke:#b8860b}.lehr .c5{stroke:#5c4fc4}
.lehr .d1{stroke-dasharray:8 4}.lehr .d2{stroke-dasharray:2 4}.lehr .d3{stroke-dasharray:8 4 2 4}
@media (prefers-color-scheme:dark){.lehr{background:#16181c}.lehr text{fill:#ccc}.lehr .grid{stroke:#3a3d44}
.lehr .c0{stroke:#56b4e9}.lehr .c1{stroke:#ff8c42}.lehr .c2{stroke:#2fcf9f}
.lehr .c3{stroke:#e8a5cb}.lehr .c4{stroke:#f0e442}.lehr .c5{stroke:#a79bff}}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A curve to draw, with its name."""

    name: str
    curve: Curve


@dataclass(frozen=True, slots=True)
class _Panel:
    """A plot: its y axis, upper edge and height."""

    title: str
    axis: Axis
    top: int
    height: int

    def y(self, value: float) -> float:
        return self.top + self.height * (1 - self.axis.place(value))


def describe(schedule: Schedule) -> str:
    """A short description of a schedule, for a legend."""
    if schedule.peak_lr is None or schedule.peak_lr == schedule.start_lr:
        rates = [schedule.start_lr, schedule.end_lr]
    else:
        rates = [schedule.start_lr, schedule.peak_lr, schedule.end_lr]
    return f"{schedule.family} {' → '.join(map(rate_label, rates))}"


def specimen(family: type[Schedule]) -> Schedule:
    """A schedule that shows the family's shape, with its parameters at their defaults."""
    rises: dict[str, Any] = {"start_lr": 0.1, "peak_lr": 1.0} if family.climbs else {"start_lr": 1.0}
    return family(end_lr=0.02 if family.decays else 1.0, **rises)


def picture(lines: Sequence[Line], *, log: bool = False) -> str:
    """An SVG document of one or more curves over the same horizon. `log`: rates on a log axis, with 0 on its edge."""
    steps = step_axis(max(line.curve.step[-1] for line in lines))
    panels = [_rates(lines, log)]
    if any(line.curve.momentum for line in lines):
        panels.append(_momenta(lines))
    bottom = panels[-1].top + panels[-1].height
    legend = bottom + GAP + 4
    height = legend + LINE_HEIGHT * len(lines)
    parts = [_opening(lines, height, log)]
    for panel in panels:
        parts += _frame(panel, steps)
    for index, line in enumerate(lines):
        look = f"c{index % COLOURS} d{index // COLOURS % 4}"
        parts.append(_path(line.curve.step, line.curve.lr, steps, panels[0], look))
        if line.curve.momentum:
            parts.append(_path(line.curve.step, line.curve.momentum, steps, panels[1], look))
        y = legend + LINE_HEIGHT * index
        parts.append(
            f'<path class="{look}" d="M{LEFT} {y}h28"/><text x="{LEFT + 36}" y="{y + 4}">{escape(line.name)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def thumbnail(curve: Curve, name: str) -> str:
    """A small SVG element with a single curve, without axes, in the colour of the surrounding text."""
    low, high = min(0.0, *curve.lr), max(curve.lr) or 1.0
    last = max(curve.step[-1], 1)
    points = [
        (2 + 92 * step / last, 46 - 44 * (rate - low) / (high - low))
        for step, rate in zip(curve.step, curve.lr, strict=True)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 48" width="96" height="48" role="img">'
        f"<title>{escape(name)}</title>"
        f'<path fill="none" stroke="currentColor" stroke-width="2" d="{_trace(points)}"/></svg>'
    )


def _rates(lines: Sequence[Line], log: bool) -> _Panel:
    rates = [rate for line in lines for rate in line.curve.lr]
    positive = [rate for rate in rates if rate > 0]
    if log and positive:
        return _Panel("learning rate", log_axis(min(positive), max(positive)), TOP, RATE_HEIGHT)
    return _Panel("learning rate", linear_axis(0.0, max(rates)), TOP, RATE_HEIGHT)


def _momenta(lines: Sequence[Line]) -> _Panel:
    momenta = [value for line in lines for value in line.curve.momentum or ()]
    axis = linear_axis(min(momenta), max(momenta), wanted=2)
    return _Panel("momentum", axis, TOP + RATE_HEIGHT + GAP, MOMENTUM_HEIGHT)


def _opening(lines: Sequence[Line], height: int, log: bool) -> str:
    title = "Learning-rate schedule" if len(lines) == 1 else f"{len(lines)} learning-rate schedules"
    told = "; ".join(_told(line) for line in lines)
    scale = " The rate is on a log axis." if log else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'class="lehr" role="img" aria-labelledby="lehr-title lehr-desc">\n'
        f'<title id="lehr-title">{title}</title>\n<desc id="lehr-desc">{escape(told)}.{scale}</desc>\n'
        f"<style>{STYLE}</style>"
    )


def _told(line: Line) -> str:
    lr, last = line.curve.lr, line.curve.step[-1]
    highest = max(lr)
    peak = line.curve.step[lr.index(highest)]
    return (
        f"{line.name}: from {rate_label(lr[0])} at step 0 to {rate_label(lr[-1])} at step {last}, "
        f"highest {rate_label(highest)} at step {peak}"
    )


def _frame(panel: _Panel, steps: Axis) -> list[str]:
    right, bottom = WIDTH - RIGHT, panel.top + panel.height
    parts = []
    for tick in panel.axis.ticks:
        y = f"{panel.y(tick):.1f}"
        parts.append(f'<path class="grid" d="M{LEFT} {y}H{right}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y}" dy="4" text-anchor="end">{rate_label(tick)}</text>')
    for tick in steps.ticks:
        x = f"{_x(tick, steps):.1f}"
        parts.append(f'<path class="grid" d="M{x} {panel.top}V{bottom}"/>')
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{step_label(tick)}</text>')
    parts.append(f'<text x="{right}" y="{bottom + 32}" text-anchor="end">{panel.title} by step</text>')
    return parts


def _path(steps: Sequence[int], values: Sequence[float], axis: Axis, panel: _Panel, look: str) -> str:
    points = [(_x(step, axis), panel.y(value)) for step, value in zip(steps, values, strict=True)]
    return f'<path class="{look}" d="{_trace(points)}"/>'


def _x(step: float, axis: Axis) -> float:
    return LEFT + (WIDTH - RIGHT - LEFT) * axis.place(step)


def _trace(points: Sequence[tuple[float, float]]) -> str:
    """A path through the points; a single point becomes a short stroke."""
    drawn = [f"{x:.1f} {y:.1f}" for x, y in points]
    kept = [each for index, each in enumerate(drawn) if index == 0 or each != drawn[index - 1]]
    return f"M{kept[0]}h2" if len(kept) == 1 else "M" + "L".join(kept)

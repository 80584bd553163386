"""Draws a range test's curve as an SVG picture for light and dark pages and screen readers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from lehr.schedules.portable.axes import Axis, linear_axis, log_axis, rate_label
from lehr.schedules.portable.picture import STYLE
from lehr.wire.ranges import RangeCurve, RangePoint, RangeResult

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 380, 64, 16, 16, 340
ABOVE = 1.1
"""The upper edge, in parts of the loss's fall above its minimum. Higher losses, which may be huge, are drawn on it."""
POINTS = ("steepest", "valley", "minimum", "divergence")
BAND = ".lehr .band{fill:#0072b2;stroke:none;opacity:.15}.lehr .bounds{fill:#009e73;stroke:none;opacity:.1}"


def picture(result: RangeResult, name: str) -> str:
    """The smoothed loss by rate on a log axis, with the seeds' spread, the bounds, and the named points.

    Without a curve, the picture says why there is none.
    """
    if result.curve is None:
        return _document(name, result.reason, [f'<text x="{LEFT}" y="{TOP + 40}">{escape(result.reason)}</text>'])
    curve = result.curve
    rates, losses = log_axis(curve.lr[0], curve.lr[-1]), _losses(curve)
    parts = [*_bounds(result, rates), *_grid(rates, losses)]
    upper, lower = _places(curve.lr, curve.greatest, rates, losses), _places(curve.lr, curve.least, rates, losses)
    parts.append(f'<path class="band" d="M{"L".join([*upper, *reversed(lower)])}Z"/>')
    parts.append(f'<path class="c0 d0" d="M{"L".join(_places(curve.lr, curve.loss, rates, losses))}"/>')
    found = {point: known for point in POINTS if (known := getattr(result, point)) is not None}
    parts += [line for at, (point, known) in enumerate(found.items()) for line in _mark(point, known, rates, at)]
    told = "; ".join(f"{point} at {rate_label(known.lr)}" for point, known in found.items())
    bounds = "nothing found"
    if result.bounds is not None:
        bounds = f"searched from {rate_label(result.bounds.low)} to {rate_label(result.bounds.high)}"
    return _document(name, f"Smoothed training loss by learning rate. {told}; {bounds}.", parts)


def _losses(curve: RangeCurve) -> Axis:
    lowest, began = min(curve.loss), curve.loss[0]
    return linear_axis(lowest, began + (ABOVE - 1) * (began - lowest))


def _places(lr: Sequence[float], loss: Sequence[float], rates: Axis, losses: Axis) -> list[str]:
    return [f"{_x(rate, rates):.1f} {_y(value, losses):.1f}" for rate, value in zip(lr, loss, strict=True)]


def _x(rate: float, rates: Axis) -> float:
    return LEFT + (WIDTH - RIGHT - LEFT) * rates.place(rate)


def _y(loss: float, losses: Axis) -> float:
    return BOTTOM - 24 - (BOTTOM - 24 - TOP) * losses.place(loss)


def _bounds(result: RangeResult, rates: Axis) -> Iterator[str]:
    if result.bounds is None:
        return
    left, right = _x(result.bounds.low, rates), _x(result.bounds.high, rates)
    yield f'<rect class="bounds" x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{BOTTOM - 24 - TOP}"/>'


def _grid(rates: Axis, losses: Axis) -> Iterator[str]:
    bottom = BOTTOM - 24
    for tick in losses.ticks:
        y = f"{_y(tick, losses):.1f}"
        yield f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 8}" y="{y}" dy="4" text-anchor="end">{rate_label(tick)}</text>'
    for tick in rates.ticks:
        x = f"{_x(tick, rates):.1f}"
        yield f'<path class="grid" d="M{x} {TOP}V{bottom}"/>'
        yield f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{rate_label(tick)}</text>'
    yield f'<text x="{WIDTH - RIGHT}" y="{bottom + 32}" text-anchor="end">training loss by learning rate</text>'


def _mark(name: str, point: RangePoint, rates: Axis, at: int) -> Iterator[str]:
    """A dashed line at the point with its name, which is lower than the previous name to avoid an overlap."""
    x = _x(point.lr, rates)
    yield f'<path class="c1 d2" d="M{x:.1f} {TOP}V{BOTTOM - 24}"/>'
    yield f'<text x="{x + 4:.1f}" y="{TOP + 14 + 16 * at}">{name} {rate_label(point.lr)}</text>'


def _document(name: str, told: str, parts: Sequence[str]) -> str:
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'class="lehr" role="img" aria-labelledby="lehr-title lehr-desc">\n'
        f'<title id="lehr-title">Range test {escape(name)}</title>\n<desc id="lehr-desc">{escape(told)}</desc>\n'
        f"<style>{STYLE}{BAND}</style>"
    )
    return "\n".join([opening, *parts, "</svg>"]) + "\n"

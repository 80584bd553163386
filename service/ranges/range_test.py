"""Combines the sweeps of several seeds into a range test's result, and derives the bounds to search.

The bounds are set around the rate with the lowest loss on held-out examples, the only point of a sweep that reflects
overfitting: small data sets need lower rates than their training loss suggests. Without held-out losses, they are set
around the middle between the steepest fall of the training loss and its divergence, the two points that vary least
between seeds. The distances come from `benchmarks/range_test`, which measured the best rates of whole trainings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lehr.space import DEFAULT_START_LR
from lehr.wire.ranges import MAX_RATE, RangeCurve, RangePoint, RangeResult, RangeSpec
from service.ranges.loss_by_rate import Array, SmoothCurve, Sweep, grid, smooth, together
from service.ranges.points import Points, points

BELOW, ABOVE = 1.27, 0.47
"""The distances of the bounds, in decades, from the lowest held-out loss."""
BLIND_BELOW, BLIND_ABOVE = 1.4, 0.34
"""The same from the middle that is used without held-out losses."""
USUAL_CLIMB = 0.85
"""The decades from the minimum to divergence that are assumed if the sweeps end before they diverge."""
DIGITS = 3
"""The significant digits of the results. More would be noise."""


def range_test(sweeps: Sequence[Sweep]) -> RangeResult:
    """The result of the ended sweeps. It has no bounds if the loss never fell."""
    numbers = [sweep.number for sweep in sweeps]
    usable = [sweep for sweep in sweeps if sweep.rates and 0 < sweep.rates[0] < sweep.rates[-1] <= MAX_RATE]
    decades = grid(usable) if usable else np.zeros(0)
    curves = [curve for sweep in usable if (curve := smooth(sweep, decades)) is not None]
    if not curves:
        return _nothing(numbers, f"none of {len(sweeps)} sweeps reported enough finite losses for a curve")
    whole = together(curves)
    found = points(whole)
    if found is None:
        reason = (
            f"in {len(curves)} sweeps the loss never fell by more than its noise: it began at {whole.start:.3g}, and "
            f"its noise is {whole.noise:.2g}"
        )
        return _nothing(numbers, reason, _curve(whole, curves))
    each = [one for curve in curves if (one := points(curve)) is not None]
    held_out = _held_out(usable, decades)
    return RangeResult(
        found=True,
        bounds=bounds(found, held_out, decades[0], decades[-1]),
        reason=_story(whole, found, held_out),
        minimum=_point(found.minimum, [one.minimum for one in each]),
        steepest=_point(found.steepest, [one.steepest for one in each]),
        valley=_point(found.valley, [one.valley for one in each]),
        divergence=_point(found.divergence, [one.divergence for one in each]),
        held_out_minimum=held_out,
        curve=_curve(whole, curves),
        trials=numbers,
    )


def bounds(found: Points, held_out: RangePoint | None, first: float, last: float) -> RangeSpec:
    """The bounds to search, within the swept rates: `first` and `last`, in log10."""
    if held_out is not None:
        least = math.log10(held_out.lr)
        low, high = least - BELOW, least + ABOVE
    else:
        lost = min(last, found.minimum + USUAL_CLIMB) if found.divergence is None else found.divergence
        middle = (found.steepest + lost) / 2
        low, high = middle - BLIND_BELOW, middle + BLIND_ABOVE
    below, above = (min(max(bound, first), last) for bound in (low, high))
    return RangeSpec(low=_rate(below), high=_rate(above))


def _held_out(sweeps: Sequence[Sweep], decades: Array) -> RangePoint | None:
    """The rate with the lowest held-out loss; None with too few held-out losses, or if they do not fall."""
    held_out = [sweep.of_held_out for sweep in sweeps]
    curves = [curve for sweep in held_out if (curve := smooth(sweep, decades)) is not None]
    found = points(together(curves)) if curves else None
    each = [one.minimum for curve in curves if (one := points(curve)) is not None]
    return None if found is None else _point(found.minimum, each)


def with_usual_bounds(result: RangeResult) -> RangeResult:
    """The result with the default bounds if it has none, for a study that searches anyway."""
    if result.bounds is not None:
        return result
    usual = RangeSpec(low=DEFAULT_START_LR.low, high=DEFAULT_START_LR.high)
    reason = f"{result.reason}; start_lr is searched from {usual.low:g} to {usual.high:g}, the default"
    return result.model_copy(update={"bounds": usual, "reason": reason})


def _nothing(numbers: list[int], reason: str, curve: RangeCurve | None = None) -> RangeResult:
    return RangeResult(found=False, bounds=None, reason=reason, curve=curve, trials=numbers)


def _story(whole: SmoothCurve, found: Points, held_out: RangePoint | None) -> str:
    lowest = float(whole.losses[whole.lowest])
    fall = f"the loss falls from {whole.start:.3g} to {lowest:.3g} at a rate of {_rate(found.minimum):g}"
    if held_out is not None:
        fall += f" (on held-out examples it is lowest at {held_out.lr:g})"
    if found.divergence is None:
        return f"{fall}, and does not diverge up to {_rate(whole.decades[-1]):g}, where the sweep ends"
    return f"{fall}, and half of that fall is lost again at {_rate(found.divergence):g}"


def _point(decade: float | None, each: Sequence[float | None]) -> RangePoint | None:
    known = [one for one in each if one is not None]
    if decade is None:
        return None
    known = known or [decade]
    return RangePoint(lr=_rate(decade), least=_rate(min(known)), greatest=_rate(max(known)), seeds=len(known))


def _curve(whole: SmoothCurve, curves: Sequence[SmoothCurve]) -> RangeCurve:
    losses = np.array([curve.losses for curve in curves])
    return RangeCurve(
        lr=[_rate(decade) for decade in whole.decades],
        loss=whole.losses.tolist(),
        least=losses.min(axis=0).tolist(),
        greatest=losses.max(axis=0).tolist(),
    )


def _rate(decade: float) -> float:
    return float(f"{10.0**decade:.{DIGITS}g}")

"""The rate was too high, though the curve is calm: a lower rate did far better, and a higher one did not."""

from __future__ import annotations

from statistics import quantiles

from lehr.wire.diagnosis import Finding
from service.diagnosis.neighbours import Neighbours
from service.diagnosis.training_curve import TrialCurve

MIN_TRIED = 8
FAR = 0.5
"""Of the way from the study's best value to its third quartile."""
SPREAD = 3.0
"""That way is so many times as long as the one to the median: the study knows good rates and bad ones."""


def outdone(curve: TrialCurve, others: Neighbours) -> Finding | None:
    """A training that a high rate has killed lies still, and looks like one that has finished.

    Where most of a study has closed in on good rates, nothing is said: its values differ by noise.
    """
    if curve.state != "COMPLETED" or others.higher_better or others.lower is None or others.own is None:
        return None
    # Eighths, for differences of the largest doubles are none.
    values, own, lower = sorted(loss / 8 for loss in others.losses), others.own / 8, others.lower / 8
    if len(values) < MIN_TRIED:
        return None
    _, median, third = quantiles(values, n=4)
    scale = third - values[0]
    if scale < SPREAD * (median - values[0]) or own - lower < FAR * scale or scale <= 0:
        return None
    sign = 1.0 if curve.direction == "minimize" else -1.0
    return Finding(
        code="rate_too_high",
        message=f"lower rates did far better, {curve.metric} {sign * others.lower:.4g} against {sign * others.own:.4g}"
        f": a rate of {curve.max_lr:.3g} is too high",
        remedy="Lower the highest rate, first by 3 to 10 times.",
        evidence={
            "max_lr": curve.max_lr,
            "own": sign * others.own,
            "lower": sign * others.lower,
            "trials": len(values),
        },
    )

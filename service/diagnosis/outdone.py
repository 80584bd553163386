"""Finds a learning rate that is too high despite a smooth curve: a lower rate did far better, and no higher one did."""

from __future__ import annotations

from statistics import quantiles

from lehr.wire.diagnosis import Finding
from service.diagnosis.neighbours import Neighbours
from service.diagnosis.training_curve import TrialCurve

MIN_TRIED = 8
FAR = 0.5
"""How much better the lower rate must be, as a fraction of the distance from the study's best value to its third
quartile.
"""
SPREAD = 3.0
"""How many times the distance to the median that distance must be: then the study has both good and bad rates."""


def outdone(curve: TrialCurve, others: Neighbours) -> Finding | None:
    """A training that collapsed at a high rate has a flat curve, and looks like one that has converged.

    There is no finding if most of the study's trials have good rates, because their values then differ only by noise.
    """
    if curve.state != "COMPLETED" or others.higher_better or others.lower is None or others.own is None:
        return None
    # Divided by 8, because differences of the largest doubles would overflow.
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
        message=f"lower learning rates did far better ({curve.metric} {sign * others.lower:.4g}, this trial "
        f"{sign * others.own:.4g}): a rate of {curve.max_lr:.3g} is too high",
        remedy="Lower the highest learning rate; try a factor of 3 to 10 first.",
        evidence={
            "max_lr": curve.max_lr,
            "own": sign * others.own,
            "lower": sign * others.lower,
            "trials": len(values),
        },
    )

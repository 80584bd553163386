"""Finds a learning rate that is too low: the loss was still falling steeply and smoothly when the training ended."""

from __future__ import annotations

from lehr.wire.diagnosis import Finding
from service.diagnosis.training_curve import TRAIN_LOSS, Series, TrialCurve

MIN_REPORTS = 5
LATE_SHARE = 0.4
"""The fraction of the loss's total fall that comes in the second half: a straight line has 0.5, a converged training
little.
"""
LATE_FALL = 0.2
"""The relative fall of a held-out loss over the second half of the summed rate. A training loss often falls so far."""
SMOOTH = 0.005
"""The most roughness of a smooth curve. At a rate near the highest useful one, the loss jumps now and then."""
FIRST_REPORT = 0.2
"""A curve whose first report is later than this fraction of its horizon does not show the loss's total fall."""


def rate_too_low(curve: TrialCurve) -> Finding | None:
    """A finding if both losses fall without a jump, and much of the fall comes in the second half of the summed rate.

    The thresholds were chosen on real trainings (benchmarks/diagnosis). A well-chosen rate works at the edge of
    stability, where the loss no longer falls smoothly (Cohen et al., Gradient descent on neural networks typically
    occurs at the edge of stability, 2021).
    """
    loss = curve.loss
    if curve.state != "COMPLETED" or loss is None or len(loss) < MIN_REPORTS:
        return None
    if (loss.steps[0] + 1) / curve.horizon_steps > FIRST_REPORT or not all(map(_is_smooth, curve.losses)):
        return None
    loss = loss.before_annealing.binned()
    middle = loss.at_spent(0.5)
    fall, late = loss.first - loss.last, middle - loss.last
    if fall <= 0:  # only one report comes before annealing
        return None
    late_share = min(1.0, late / fall)
    late_fall = min(1.0, late / middle) if middle > 0 and loss.name != TRAIN_LOSS else 0.0
    if late_share < LATE_SHARE and late_fall < LATE_FALL:
        return None
    return Finding(
        code="rate_too_low",
        message=f"{loss.name} was still falling steeply and smoothly at the end, from {middle:.3g} to {loss.last:.3g} "
        f"in the second half of the summed learning rate: a higher rate than {curve.max_lr:.3g} may do better",
        remedy="Raise the highest learning rate; try a factor of 3 to 10 first. If that does worse, train longer.",
        evidence={
            "max_lr": curve.max_lr,
            "first": loss.first,
            "middle": middle,
            "last": loss.last,
            "late_share": late_share,
            "late_fall": late_fall,
        },
    )


def _is_smooth(series: Series) -> bool:
    return series.first > series.last and series.binned().roughness <= SMOOTH

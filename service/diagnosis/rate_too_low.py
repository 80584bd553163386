"""The rate was too low: the loss was still falling steeply, and smoothly, when the training ended."""

from __future__ import annotations

from lehr.wire.diagnosis import Finding
from service.diagnosis.training_curve import TRAIN_LOSS, Series, TrialCurve

MIN_REPORTS = 5
LATE_SHARE = 0.4
"""Of all that the loss fell, this much in the second half: a straight line has .5, a finished training little."""
LATE_FALL = 0.2
"""By this part of itself a held-out loss fell in the second half of its summed rate; a training loss may always."""
SMOOTH = 0.005
"""A rate near the highest useful one makes the loss jump now and then; a curve that rises less than this does not."""
FIRST_REPORT = 0.2
"""A curve that starts later in its horizon does not show how much the loss fell in all."""


def rate_too_low(curve: TrialCurve) -> Finding | None:
    """Both losses fall without a jump, and a large part of the fall comes in the second half of the summed rate.

    The thresholds are chosen on real trainings (benchmarks/diagnosis). A well-chosen rate works at the edge of
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
    if fall <= 0:  # one report is left before the rate has annealed
        return None
    late_share = min(1.0, late / fall)
    late_fall = min(1.0, late / middle) if middle > 0 and loss.name != TRAIN_LOSS else 0.0
    if late_share < LATE_SHARE and late_fall < LATE_FALL:
        return None
    return Finding(
        code="rate_too_low",
        message=f"{loss.name} was still falling steeply at the end, from {middle:.3g} to {loss.last:.3g} in the second "
        f"half of the summed rate, and without a jump: a rate of {curve.max_lr:.3g} leaves room above it",
        remedy="Raise the highest rate, first by 3 to 10 times; if that does worse, train longer.",
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

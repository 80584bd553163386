"""Finds a training that would gain from a longer horizon: at a high learning rate, its loss was still falling."""

from __future__ import annotations

from lehr.wire.diagnosis import Finding
from service.diagnosis.training_curve import HIGH, TRAIN_LOSS, TrialCurve
from service.diagnosis.trend import kendall_z

REMEDY = "Lengthen the horizon; try twice as many epochs first."
END_FALL = 0.05
"""The relative fall of the loss over the last quarter of its reports that counts as still falling."""
MIN_REPORTS = 4
LATE_FALL = 0.25
"""The relative fall of the loss over the second half of the time at a high rate that counts as still falling."""
TREND_Z = -1.28
"""A one-sided test at 10%: a smaller z shows a significant fall."""


def horizon_too_short(curve: TrialCurve) -> Finding | None:
    """Tests a held-out loss before annealing, because annealing makes the loss fall whatever the horizon."""
    loss = curve.loss
    if curve.state != "COMPLETED" or loss is None or loss.name == TRAIN_LOSS:
        return None
    high = [index for index, rate in enumerate(loss.rates) if rate >= HIGH * max(loss.rates)]
    late = loss.between(high[len(high) // 2], high[-1] + 1)
    if len(late) < MIN_REPORTS or late.first <= 0 or kendall_z(late.values) > TREND_Z:
        return None
    fall = min(1.0, 1 - late.last / late.first)
    if fall < LATE_FALL or loss.last > loss.values[loss.lowest] * 1.02:
        return None
    return Finding(
        code="horizon_too_short",
        message=f"{loss.name} still fell by {fall:.0%} from step {late.steps[0]} to step {late.steps[-1]}, while the "
        "learning rate was high: a longer training would reach a better value",
        remedy=REMEDY,
        evidence={
            "from_step": late.steps[0],
            "to_step": late.steps[-1],
            "fall": fall,
            "trend_z": kendall_z(late.values),
        },
    )


def still_falling(curve: TrialCurve, too_low: Finding) -> Finding | None:
    """The finding for a curve that looks like too low a rate, in a study where higher rates did no better.

    None if the loss has levelled off by the end, because annealing has then made up for the lower rate.
    """
    assert curve.loss is not None  # `too_low` is about it
    loss = curve.loss.binned()
    before = loss.values[-1 - max(1, len(loss) // 4)]
    if loss.last > (1 - END_FALL) * before:
        return None
    return Finding(
        code="horizon_too_short",
        message=f"{loss.name} was still falling at the end, from {before:.3g} to {loss.last:.3g} in the last quarter, "
        "and higher learning rates did no better: a longer training would",
        remedy=REMEDY,
        evidence={**too_low.evidence, "before": before, "end": loss.last},
    )

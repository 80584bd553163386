"""The training would gain from a longer horizon: at its full rate it was still getting better."""

from __future__ import annotations

from lehr.wire.diagnosis import Finding
from service.diagnosis.training_curve import HIGH, TRAIN_LOSS, TrialCurve
from service.diagnosis.trend import kendall_z

REMEDY = "Lengthen the horizon, first to twice as many epochs."
END_FALL = 0.05
"""In the last quarter of its reports the loss fell by this part of itself."""
MIN_REPORTS = 4
LATE_FALL = 0.25
"""In the second half of the time at a high rate the loss fell by this part of itself."""
TREND_Z = -1.28
"""A one-sided test at 10%: below it, the fall is no chance."""


def horizon_too_short(curve: TrialCurve) -> Finding | None:
    """Of a held-out loss, before the rate is annealed: annealing lets it fall, however long the horizon."""
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
        message=f"{loss.name} still fell by {fall:.0%} between the steps {late.steps[0]} and {late.steps[-1]}, while "
        "the rate was high: a longer training would do better",
        remedy=REMEDY,
        evidence={
            "from_step": late.steps[0],
            "to_step": late.steps[-1],
            "fall": fall,
            "trend_z": kendall_z(late.values),
        },
    )


def still_falling(curve: TrialCurve, too_low: Finding) -> Finding | None:
    """What a curve of too low a rate shows where higher rates were tried and did no better.

    None where the loss has come to rest by the end: annealing has then used what the rate had left.
    """
    assert curve.loss is not None  # the finding is about it
    loss = curve.loss.binned()
    before = loss.values[-1 - max(1, len(loss) // 4)]
    if loss.last > (1 - END_FALL) * before:
        return None
    seen = {**too_low.evidence, "before": before, "end": loss.last}
    return Finding(
        code="horizon_too_short",
        message=f"{loss.name} still fell at the end, from {before:.3g} to {loss.last:.3g} in the last quarter, "
        "and higher rates did no better: a longer training would",
        remedy=REMEDY,
        evidence=seen,
    )

"""The loss jumped once, right after the rate reached its top, and recovered: the climb was too steep."""

from __future__ import annotations

from lehr.wire.diagnosis import Finding
from service.diagnosis.training_curve import Series, TrialCurve

EARLY = 0.3
"""The jump comes within this part of the horizon, or within twice the climb where that is longer."""
HEIGHT = 0.5
"""It lifts the loss by half of the lowest value before it."""
CALM = 0.05
"""After it no more than this part of the movement goes upwards."""
MIN_REPORTS = 6


def warmup_too_short(curve: TrialCurve) -> Finding | None:
    """One early jump above what was reached before, recovered from, with a calm training after it.

    A rate that is too high altogether jumps on (`rate_too_high`); one that only came too early does not: curvature
    falls while the rate is small, and a longer climb gives it the time (Gilmer et al., A loss curvature perspective
    on training instability in deep learning, 2021; Goyal et al., Accurate, large minibatch SGD, 2017).
    """
    loss = curve.train or curve.loss
    if curve.state != "COMPLETED" or loss is None or len(loss) < MIN_REPORTS:
        return None
    limit = max(EARLY, min(2 * curve.rise_fraction, 0.5)) * curve.horizon_steps
    at = _peak(loss, limit)
    if at is None:
        return None
    before = min(loss.values[:at])
    if before <= 0 or loss.values[at] < (1 + HEIGHT) * before or loss.last >= before:
        return None
    if loss.between(at, len(loss)).binned().roughness > CALM:
        return None
    return Finding(
        code="warmup_too_short",
        message=f"{loss.name} jumped from {before:.3g} to {loss.values[at]:.3g} at step {loss.steps[at]}, soon after "
        f"the rate had reached {curve.max_lr:.3g}, and recovered: the climb to it was too short",
        remedy="Give the schedule a longer warm-up: two to three times as long, or 5% of the horizon.",
        evidence={
            "max_lr": curve.max_lr,
            "warmup_fraction": curve.rise_fraction,
            "step": loss.steps[at],
            "before": before,
            "jump": loss.values[at],
            "last": loss.last,
        },
    )


def _peak(loss: Series, limit: float) -> int | None:
    """The position of the highest value within `limit` steps that is not the first one; None where the first is."""
    early = [index for index in range(1, len(loss) - 1) if loss.steps[index] < limit]
    at = max(early, key=lambda index: loss.values[index], default=None)
    if at is None or loss.values[at] <= loss.values[at - 1] or loss.values[at] <= loss.values[at + 1]:
        return None
    return at

"""Finds a warm-up that is too short: the loss jumped once soon after the rate reached its peak, then recovered."""

from __future__ import annotations

from lehr.wire.diagnosis import Finding
from service.diagnosis.training_curve import Series, TrialCurve

EARLY = 0.3
"""The jump must come within this fraction of the horizon, or within twice the warm-up if that is longer."""
HEIGHT = 0.5
"""The jump must raise the loss by half of the lowest value before it."""
CALM = 0.05
"""The most roughness after the jump."""
MIN_REPORTS = 6


def warmup_too_short(curve: TrialCurve) -> Finding | None:
    """A finding for one early jump of the loss, from which it recovers smoothly.

    At a rate that is too high, the loss keeps jumping (`rate_too_high`). At one that came too early, it does not:
    curvature falls while the rate is small, and a longer warm-up gives it time to (Gilmer et al., A loss curvature
    perspective on training instability in deep learning, 2021; Goyal et al., Accurate, large minibatch SGD, 2017).
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
        f"the learning rate reached {curve.max_lr:.3g}, then recovered: the warm-up was too short",
        remedy="Use a longer warm-up: two to three times as long, or 5% of the horizon.",
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
    """The index of the highest value within `limit` steps, without the first; None if it is not a local maximum."""
    early = [index for index in range(1, len(loss) - 1) if loss.steps[index] < limit]
    at = max(early, key=lambda index: loss.values[index], default=None)
    if at is None or loss.values[at] <= loss.values[at - 1] or loss.values[at] <= loss.values[at + 1]:
        return None
    return at

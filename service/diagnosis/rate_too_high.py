"""Finds a learning rate that is too high: the loss oscillates, plateaus after a fast start, or ends where it began."""

from __future__ import annotations

from collections.abc import Mapping

from lehr.wire.diagnosis import Finding
from service.diagnosis.training_curve import Series, TrialCurve
from service.diagnosis.trend import kendall_z

MIN_REPORTS = 5
NO_GAIN = 0.95
"""A training whose training loss ends above this fraction of its first report has learned nothing."""
LEARNED_NOTHING_ROUGH = 0.05
ROUGH_TRAINING = 0.1
"""The fraction of the training loss's movement after its first report that must be upwards."""
ROUGH_HELD_OUT = 0.2
"""The same for the held-out loss, which is noisier."""
FAST_START = 0.9
"""The fraction of the loss's total fall that comes before its second half."""
NO_TREND = -1.28
"""A one-sided test at 10%: a larger z shows no downward trend in the second half."""


def rate_too_high(curve: TrialCurve) -> Finding | None:
    """A finding if both losses oscillate, or if the training loss oscillates and the training has learned nothing.

    Past the edge of stability the loss goes up and down from epoch to epoch, while at a lower rate it falls almost
    always (Cohen et al., Gradient descent on neural networks typically occurs at the edge of stability, 2021). The
    thresholds were chosen on real trainings (benchmarks/diagnosis).
    """
    train = curve.train or curve.loss
    if curve.state != "COMPLETED" or train is None or len(train) < MIN_REPORTS:
        return None
    train = train.binned()
    return _learned_nothing(curve, train) or _oscillates(curve, train)


def _learned_nothing(curve: TrialCurve, train: Series) -> Finding | None:
    if train.roughness < LEARNED_NOTHING_ROUGH or train.last < NO_GAIN * train.first:
        return None
    return _finding(
        curve,
        f"{train.name} went up and down and ended where it began (first {train.first:.3g}, last {train.last:.3g})",
        {"first": train.first, "last": train.last, "train_roughness": train.roughness},
    )


def _oscillates(curve: TrialCurve, train: Series) -> Finding | None:
    assert curve.loss is not None  # it is None only if there is no training loss either
    loss = curve.loss.binned()
    rough, held_out = train.between(1, len(train)).roughness, loss.between(1, len(loss)).roughness
    if rough < ROUGH_TRAINING or held_out < ROUGH_HELD_OUT:
        return None
    late = train.values[len(train) // 2 :]
    fallen = (train.first - late[0]) / (train.first - min(train.values)) if train.first > min(train.values) else 0.0
    evidence = {"train_roughness": rough, "loss_roughness": held_out, "late_trend_z": kendall_z(late)}
    if fallen >= FAST_START and kendall_z(late) > NO_TREND:
        return _finding(curve, f"{train.name} stopped falling at about {late[-1]:.3g} after a fast start", evidence)
    what = f"the losses went up and down ({rough:.0%} of {train.name}'s movement was upwards)"
    return _finding(curve, what, evidence)


def _finding(curve: TrialCurve, what: str, evidence: Mapping[str, float]) -> Finding:
    return Finding(
        code="rate_too_high",
        message=f"{what}: a learning rate of {curve.max_lr:.3g} is too high",
        remedy="Lower the highest learning rate; try a factor of 3 to 10 first.",
        evidence={"max_lr": curve.max_lr, **evidence},
    )

"""The rate was too high: the loss moved up and down, stood still after a fast start, or ended where it began."""

from __future__ import annotations

from collections.abc import Mapping

from lehr.wire.diagnosis import Finding
from service.diagnosis.training_curve import Series, TrialCurve
from service.diagnosis.trend import kendall_z

MIN_REPORTS = 5
NO_GAIN = 0.95
"""A training loss that ends above this part of its first report has learnt nothing."""
LEARNT_NOTHING_ROUGH = 0.05
ROUGH_TRAINING = 0.1
"""Of the training loss's movement after its first report, this much went upwards."""
ROUGH_HELD_OUT = 0.2
"""And of the held-out loss's: it is the noisier one."""
FAST_START = 0.9
"""Of all that the loss fell, this much before its second half."""
NO_TREND = -1.28
"""A one-sided test at 10%: above it, the second half shows no downward trend."""


def rate_too_high(curve: TrialCurve) -> Finding | None:
    """Both losses are restless, or the training loss is and has learnt nothing.

    Past the edge of stability the loss moves up and down from epoch to epoch, while a lower rate lets it fall almost
    always (Cohen et al., Gradient descent on neural networks typically occurs at the edge of stability, 2021). The
    thresholds are chosen on real trainings (benchmarks/diagnosis).
    """
    train = curve.train or curve.loss
    if curve.state != "COMPLETED" or train is None or len(train) < MIN_REPORTS:
        return None
    train = train.binned()
    return _learnt_nothing(curve, train) or _restless(curve, train)


def _learnt_nothing(curve: TrialCurve, train: Series) -> Finding | None:
    if train.roughness < LEARNT_NOTHING_ROUGH or train.last < NO_GAIN * train.first:
        return None
    return _finding(
        curve,
        f"{train.name} ended where it began, at {train.last:.3g} after {train.first:.3g}, and moved up and down",
        {"first": train.first, "last": train.last, "train_roughness": train.roughness},
    )


def _restless(curve: TrialCurve, train: Series) -> Finding | None:
    assert curve.loss is not None  # there is none only where there is no training loss either
    loss = curve.loss.binned()
    rough, held_out = train.between(1, len(train)).roughness, loss.between(1, len(loss)).roughness
    if rough < ROUGH_TRAINING or held_out < ROUGH_HELD_OUT:
        return None
    late = train.values[len(train) // 2 :]
    fallen = (train.first - late[0]) / (train.first - min(train.values)) if train.first > min(train.values) else 0.0
    evidence = {"train_roughness": rough, "loss_roughness": held_out, "late_trend_z": kendall_z(late)}
    if fallen >= FAST_START and kendall_z(late) > NO_TREND:
        return _finding(curve, f"{train.name} stood still around {late[-1]:.3g} after a fast start", evidence)
    return _finding(curve, f"the losses moved up and down: {rough:.0%} of {train.name}'s way was upwards", evidence)


def _finding(curve: TrialCurve, what: str, evidence: Mapping[str, float]) -> Finding:
    return Finding(
        code="rate_too_high",
        message=f"{what}: a rate of {curve.max_lr:.3g} is too high",
        remedy="Lower the highest rate, first by 3 to 10 times.",
        evidence={"max_lr": curve.max_lr, **evidence},
    )

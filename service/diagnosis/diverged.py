"""Finds a trial whose loss became infinite or NaN, with the step and the learning rate."""

from __future__ import annotations

from lehr.wire.diagnosis import Finding
from service.diagnosis.training_curve import TrialCurve


def diverged(curve: TrialCurve) -> Finding | None:
    """A finding for a trial that DIVERGED, with the step and the learning rate of its last report.

    If the rate was still rising or had just reached its peak, a longer warm-up is the alternative remedy (Gilmer et
    al., A loss curvature perspective on training instability in deep learning, 2021).
    """
    if curve.state != "DIVERGED" or not curve.steps:
        return None
    step, rate = curve.steps[-1], curve.rates[-1]
    progress = (step + 1) / curve.horizon_steps
    remedy = "Lower the highest learning rate."
    if 0 < curve.rise_fraction < 1 and progress <= 2 * curve.rise_fraction:
        remedy = "Lower the highest learning rate, or use a longer warm-up: the trial diverged during or soon after it."
    return Finding(
        code="diverged",
        message=f"diverged at step {step} of {curve.horizon_steps}, at a learning rate of {rate:.3g}: the loss was not "
        "finite",
        remedy=remedy,
        evidence={"step": step, "progress": progress, "lr": rate, "max_lr": curve.max_lr},
    )

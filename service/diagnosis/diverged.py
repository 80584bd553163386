"""The loss became infinite or no number: at which step, and at which rate."""

from __future__ import annotations

from lehr.wire.diagnosis import Finding
from service.diagnosis.training_curve import TrialCurve


def diverged(curve: TrialCurve) -> Finding | None:
    """A trial that DIVERGED, with the step of its last report and the rate there.

    Where the rate was still climbing, or had just reached its top, a longer warm-up is the other remedy (Gilmer
    et al., A loss curvature perspective on training instability in deep learning, 2021).
    """
    if curve.state != "DIVERGED" or not curve.steps:
        return None
    step, rate = curve.steps[-1], curve.rates[-1]
    progress = (step + 1) / curve.horizon_steps
    remedy = "Lower the highest rate."
    if 0 < curve.rise_fraction < 1 and progress <= 2 * curve.rise_fraction:
        remedy = "Lower the highest rate, or climb to it more slowly: it went wrong on the climb or right after it."
    return Finding(
        code="diverged",
        message=f"diverged at step {step} of {curve.horizon_steps}, at a rate of {rate:.3g}: the loss was not finite",
        remedy=remedy,
        evidence={"step": step, "progress": progress, "lr": rate, "max_lr": curve.max_lr},
    )

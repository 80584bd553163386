"""Runs the diagnosis rules that look at one trial's training."""

from __future__ import annotations

from collections.abc import Callable

from lehr.wire.diagnosis import Finding
from service.diagnosis.diverged import diverged
from service.diagnosis.horizon_too_short import horizon_too_short, still_falling
from service.diagnosis.neighbours import Neighbours
from service.diagnosis.outdone import outdone
from service.diagnosis.overfits import overfits
from service.diagnosis.rate_too_high import rate_too_high
from service.diagnosis.rate_too_low import rate_too_low
from service.diagnosis.training_curve import TrialCurve
from service.diagnosis.warmup_too_short import warmup_too_short
from service.parts import Make, directly


def diagnose(curve: TrialCurve, others: Neighbours | None = None, make: Make = directly) -> list[Finding]:
    """At most one finding about the rate or the horizon, and one about overfitting. Empty for a healthy curve.

    The study's other trials (`others`) overrule the curve. If no lower rate did better, this rate is not too high. If
    no higher rate did better, a loss that still falls needs a longer horizon, not a higher rate. If only lower rates
    did better, it needs neither.
    """
    others = others or Neighbours()
    rules: dict[str, Callable[[], Finding | None]] = {
        "diverged": lambda: diverged(curve),
        "warmup_too_short": lambda: warmup_too_short(curve),
        "rate_too_high": lambda: _too_high(curve, others),
        "rate_too_low": lambda: _too_little(curve, others),
    }
    findings = (make(f"diagnosis.{name}", rule, None) for name, rule in rules.items())
    about_rate = next((finding for finding in findings if finding is not None), None)
    if about_rate is not None and about_rate.code in ("diverged", "rate_too_high"):
        return [about_rate]
    overfitting = make("diagnosis.overfits", lambda: overfits(curve), None)
    return [finding for finding in (about_rate, overfitting) if finding is not None]


def _too_high(curve: TrialCurve, others: Neighbours) -> Finding | None:
    return None if others.lower_better is False else rate_too_high(curve) or outdone(curve, others)


def _too_little(curve: TrialCurve, others: Neighbours) -> Finding | None:
    if others.lower_better and not others.higher_better:
        return None
    too_low = rate_too_low(curve)
    if too_low is not None:
        return too_low if others.higher_better is not False else still_falling(curve, too_low)
    return None if others.higher_better else horizon_too_short(curve)

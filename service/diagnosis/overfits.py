"""Finds overfitting: the objective was best well before the end, then worsened while the training loss kept falling."""

from __future__ import annotations

from lehr.wire.diagnosis import Finding
from service.answer.statistics import mean_of
from service.diagnosis.training_curve import TrialCurve
from service.diagnosis.trend import jitter

MIN_REPORTS = 6
BEST_BEFORE = 0.8
"""The best report must come before this fraction of the horizon."""
GENERALISATION_LOSS = 0.05
"""How far the loss must end above its minimum: GL of 5 in Prechelt, Early stopping - but when? (1998)."""
DEVIATIONS = 3
"""It must also end this many times its noise above the minimum: an early best report may be luck."""
WINDOW = 3


def overfits(curve: TrialCurve) -> Finding | None:
    """Compares means of three reports, so that no single report decides."""
    objective, train = curve.objective, curve.train
    if curve.state != "COMPLETED" or objective is None or train is None or len(objective) < MIN_REPORTS:
        return None
    means = [mean_of(objective.values[at : at + WINDOW]) for at in range(len(objective) - WINDOW + 1)]
    best = min(range(len(means)), key=lambda at: means[at])
    best_step, worsening = objective.steps[best + 1], means[-1] - means[best]
    if best_step >= BEST_BEFORE * curve.horizon_steps or worsening <= 0:
        return None
    noise = jitter(objective.values)
    at_best = next(value for step, value in zip(train.steps, train.values, strict=True) if step >= best_step)
    if worsening < max(GENERALISATION_LOSS * abs(means[best]), DEVIATIONS * noise) or train.last >= at_best:
        return None
    sign = 1.0 if curve.direction == "minimize" else -1.0
    return Finding(
        code="overfits",
        message=f"{curve.metric} was best around step {best_step} of {curve.horizon_steps}, at {sign * means[best]:.3g}"
        f", then worsened to {sign * means[-1]:.3g} while the training loss kept falling",
        remedy="Shorten the horizon to about that step, or regularise more: weight decay, dropout, more data.",
        evidence={
            "best_step": best_step,
            "best": sign * means[best],
            "last": sign * means[-1],
            "jitter": noise,
            "train_loss_at_best": at_best,
            "train_loss_last": train.last,
        },
    )

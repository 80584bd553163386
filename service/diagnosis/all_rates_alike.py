"""Every rate gives the same: the metric does not see the rate, or the training does not use it."""

from __future__ import annotations

from lehr.wire.diagnosis import Finding
from service.diagnosis.results import StudyResults
from service.diagnosis.too_noisy import indistinct

MIN_COMPLETED = 6
SAME = 1e-3
"""Values that differ by less than this part of the largest are the same."""
LITTLE = 0.02
"""Where the noise is known, values that differ by no more than it does, and by no more than this part."""


def all_rates_alike(study: StudyResults) -> Finding | None:
    completed, values = study.completed, study.values
    if len(completed) < MIN_COMPLETED or any(one.state == "DIVERGED" for one in study.results):
        return None
    rates = [one.schedule.max_lr for one in completed]
    low, high = min(rates), max(rates)
    largest, spread = max(map(abs, values)), max(values) - min(values)
    same = spread <= SAME * largest
    lost_in_noise = spread <= LITTLE * largest and indistinct(study) is not None
    if not study.spans_decades or not (same or lost_in_noise):
        return None
    return Finding(
        code="all_rates_alike",
        message=f"{len(completed)} trials with rates from {low:.3g} to {high:.3g} all reached about the same "
        f"{study.metric}, {min(values):.4g} to {max(values):.4g}: it does not see the rate",
        remedy="Check that the training uses the rate it is given, train longer, or choose a finer metric, "
        "for example a loss instead of an accuracy.",
        evidence={"low_lr": low, "high_lr": high, "lowest": min(values), "highest": max(values), "trials": len(values)},
        field="objective.metric",
    )

"""Finds studies where all learning rates reach the same value: the rate has no effect, or the metric is too coarse."""

from __future__ import annotations

from lehr.wire.diagnosis import Finding
from service.diagnosis.results import StudyResults
from service.diagnosis.too_noisy import indistinct

MIN_COMPLETED = 6
SAME = 1e-3
"""Values that differ by no more than this fraction of the largest count as equal."""
LITTLE = 0.02
"""If the noise is known, values that differ by no more than this fraction, and not significantly, count as equal."""


def all_rates_alike(study: StudyResults) -> Finding | None:
    completed, values = study.completed, study.values
    if len(completed) < MIN_COMPLETED or any(result.state == "DIVERGED" for result in study.results):
        return None
    rates = [result.schedule.max_lr for result in completed]
    low, high = min(rates), max(rates)
    largest, spread = max(map(abs, values)), max(values) - min(values)
    same = spread <= SAME * largest
    lost_in_noise = spread <= LITTLE * largest and indistinct(study) is not None
    if not study.spans_decades or not (same or lost_in_noise):
        return None
    return Finding(
        code="all_rates_alike",
        message=f"{len(completed)} trials with learning rates from {low:.3g} to {high:.3g} all reached about the same "
        f"{study.metric}, {min(values):.4g} to {max(values):.4g}: the learning rate has no visible effect on it",
        remedy="Check that the training uses the learning rate that it is given, train longer, or choose a finer "
        "metric, for example a loss instead of an accuracy.",
        evidence={"low_lr": low, "high_lr": high, "lowest": min(values), "highest": max(values), "trials": len(values)},
        field="objective.metric",
    )

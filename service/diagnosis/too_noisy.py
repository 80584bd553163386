"""Finds studies in which the seed changes the value as much as the schedule does: the search ranked trials by luck."""

from __future__ import annotations

import math

from scipy.special import fdtrc

from lehr.wire.diagnosis import Finding
from service.answer.statistics import summarise
from service.diagnosis.results import Noise, StudyResults

MIN_COMPLETED = 6
MIN_FREEDOM = 4
SIGNIFICANT = 0.05
MOST_SEEDS = 1_000_000
"""The largest number of seeds that is given."""


def too_noisy(study: StudyResults) -> Finding | None:
    """A finding if the variance of the search's values is not significantly larger than between seeds (F-test at 5%).

    `seeds_needed`: how many seeds per schedule show a difference as large as the search's standard deviation, at 95%
    confidence with 80% power: 2 (1.96 + 0.84)^2 noise^2 / difference^2.
    """
    ratio = indistinct(study)
    noise, deviation = study.noise, _deviation(study.values)
    if ratio is None or noise is None or deviation is None:
        return None
    times = noise.deviation / deviation if deviation else 0.0
    needed = math.ceil(min(2 * (1.96 + 0.84) ** 2 * times * times, MOST_SEEDS))
    return Finding(
        code="too_noisy",
        message=f"{study.metric} has a standard deviation of {noise.deviation:.3g} between seeds of the same schedule, "
        f"and of {deviation:.3g} between the search's {len(study.values)} schedules: their ranking is chance",
        remedy="Hold out more data, train longer, or average over more seeds. More trials do not help.",
        evidence={
            "noise": noise.deviation,
            "freedom": noise.freedom,
            "deviation": deviation,
            "variance_ratio": ratio,
            "trials": len(study.values),
            "seeds_needed": needed,
        },
        field="budget",
    )


def indistinct(study: StudyResults) -> float | None:
    """The ratio of the variances if it may be chance; None if the schedules differ, or if there is too little data.

    The rates must span a decade: a search that has converged on one rate has values that differ only by noise.
    """
    noise, values = study.noise, study.values
    if noise is None or noise.freedom < MIN_FREEDOM or len(values) < MIN_COMPLETED or not study.spans_decades:
        return None
    deviation = _deviation(values)
    if deviation is None:
        return None
    ratio, p = _f_test(deviation, len(values) - 1, noise)
    return ratio if p > SIGNIFICANT else None


def _deviation(values: list[float]) -> float | None:
    """The standard deviation; None if it overflows or there are too few values."""
    summary = summarise(values)
    return None if summary is None else summary.std


def _f_test(deviation: float, freedom: int, noise: Noise) -> tuple[float, float]:
    if noise.deviation == 0:
        return (0.0, 1.0) if deviation == 0 else (math.inf, 0.0)
    times = deviation / noise.deviation
    return times * times, float(fdtrc(freedom, noise.freedom, times * times))

"""The seeds change the value as much as the schedules do: the search ranked luck."""

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
"""Stands for any greater number of seeds."""


def too_noisy(study: StudyResults) -> Finding | None:
    """The variance among the search's values is no larger than the seeds' alone: an F-test at 5%.

    `seeds_needed`: for each schedule, until their mean shows a difference as large as the search's deviation, at 95%
    confidence and with 80% power: 2 (1.96 + 0.84)^2 noise^2 / difference^2.
    """
    ratio = indistinct(study)
    noise, deviation = study.noise, _deviation(study.values)
    if ratio is None or noise is None or deviation is None:
        return None
    times = noise.deviation / deviation if deviation else 0.0
    needed = math.ceil(min(2 * (1.96 + 0.84) ** 2 * times * times, MOST_SEEDS))
    return Finding(
        code="too_noisy",
        message=f"one schedule's {study.metric} varies by {noise.deviation:.3g} from seed to seed, and the "
        f"{len(study.values)} schedules of the search by {deviation:.3g}: their order is luck",
        remedy="Hold out more data, train longer, or average more seeds; more trials do not help.",
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
    """The variances' ratio where it may be chance; None where the schedules differ, or nobody can tell.

    A search that has closed in on one rate is left with noise alone, so that rates a decade apart must be lost in it.
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
    """None where it is no double, or not known of so few."""
    summary = summarise(values)
    return None if summary is None else summary.std


def _f_test(deviation: float, freedom: int, noise: Noise) -> tuple[float, float]:
    if noise.deviation == 0:
        return (0.0, 1.0) if deviation == 0 else (math.inf, 0.0)
    times = deviation / noise.deviation
    return times * times, float(fdtrc(freedom, noise.freedom, times * times))

"""The statistics of an answer: Student's t-intervals of means and of paired differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from scipy.special import stdtrit

from lehr.wire.answers import Verdict
from lehr.wire.studies import Direction

CONFIDENCE = 0.95
"""Two-sided confidence of every interval."""

ROUNDING = 1e-12
"""Values whose relative difference is at most this are equal: summing in another order may change them by more."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Summary:
    """A sample's mean, its standard deviation (n - 1 in the denominator) and the mean's confidence interval.

    `std` and `ci95` are None for fewer than two values, or if they exceed the range of doubles.
    """

    count: int
    mean: float
    std: float | None
    ci95: Interval | None


@dataclass(frozen=True, slots=True)
class PairedGain:
    """How much one schedule beats another on the same seeds; positive if it is better.

    `ci95` is None for fewer than two pairs. The verdict is then a tie, because one pair shows no spread.
    """

    pairs: int
    mean: float
    ci95: Interval | None
    verdict: Verdict


def mean_of(values: Sequence[float]) -> float:
    """The mean of one or more finite values; never overflows."""
    try:
        return fmean(values)
    except OverflowError:
        quarter = math.fsum(value / 4 / len(values) for value in values)
        return max(min(values), min(max(values), 4 * quarter))


def summarise(values: Sequence[float]) -> Summary | None:
    """Mean, standard deviation and 95% t-interval of finite `values`; None if there are none.

    Student's interval: mean ± t(0.975, n - 1) · s / √n. Source: "Student", The probable error
    of a mean, Biometrika 6 (1908).
    """
    count = len(values)
    if count == 0:
        return None
    scale = max(map(abs, values)) or 1.0
    scaled = [value / scale for value in values]  # squares of large values would overflow
    mean = math.fsum(scaled) / count
    if count == 1:
        return Summary(1, values[0], None, None)
    deviation = 0.0 if min(scaled) == max(scaled) else math.sqrt(_variance(scaled, mean))
    half_width = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * deviation / math.sqrt(count)
    low, high, std = (mean - half_width) * scale, (mean + half_width) * scale, deviation * scale
    representable = all(map(math.isfinite, (low, high, std)))
    return Summary(count, mean * scale, std if representable else None, (low, high) if representable else None)


def paired_gain(winner: Mapping[int, float], baseline: Mapping[int, float], direction: Direction) -> PairedGain | None:
    """The mean paired difference of two schedules' values by seed, its 95% interval and a verdict.

    Only seeds that both completed count; None if there is no such seed. The verdict is "better" or "worse" if the
    interval excludes zero, otherwise "tie". If all differences are equal, the interval has no width, and only a
    difference of zero ties. Differences within the values' rounding count as zero.
    """
    seeds = sorted(winner.keys() & baseline.keys())
    sign = 1.0 if direction == "maximize" else -1.0
    # Halved before subtracting: the difference of two doubles can exceed the largest double.
    halves = summarise([sign * _half_difference(winner[seed], baseline[seed]) for seed in seeds])
    if halves is None:
        return None
    largest = math.nextafter(math.inf, 0)
    mean = max(-largest, min(largest, halves.mean * 2))
    interval = None
    if halves.ci95 is not None:
        doubled = (halves.ci95[0] * 2, halves.ci95[1] * 2)
        interval = doubled if all(map(math.isfinite, doubled)) else None
    return PairedGain(halves.count, mean, interval, _verdict(interval))


def _half_difference(left: float, right: float) -> float:
    half = left / 2 - right / 2
    return 0.0 if abs(half) <= ROUNDING * max(abs(left), abs(right)) else half


def _variance(values: Sequence[float], mean: float) -> float:
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _verdict(interval: Interval | None) -> Verdict:
    if interval is None or interval[0] <= 0 <= interval[1]:
        return "tie"
    return "better" if interval[0] > 0 else "worse"

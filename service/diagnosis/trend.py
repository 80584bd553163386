"""Statistics of a series: Mann's test for a trend, and the noise around its course."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from statistics import median

NORMAL_QUARTILE = 0.6745
LONGEST = 200
"""Longer series are thinned to about this many values, because all pairs are compared."""


def kendall_z(values: Sequence[float]) -> float:
    """Mann's statistic for a trend. (n,) -> z, about standard normal without a trend, negative for a fall; 0 for n < 3.

    S / sqrt(n (n - 1) (2 n + 5) / 18), where S is the number of rising pairs minus falling pairs, moved 1 towards 0.
    Source: H. B. Mann, Nonparametric tests against trend, Econometrica 13 (1945).
    """
    values = values[:: math.ceil(len(values) / LONGEST)]
    n = len(values)
    if n < 3:
        return 0.0
    s = sum((after > before) - (after < before) for before, after in combinations(values, 2))
    deviation = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return math.copysign(max(0, abs(s) - 1), s) / deviation


def jitter(values: Sequence[float]) -> float:
    """The standard deviation of normal noise around the trend of the values; 0 for n < 3.

    From the median distance of successive values: median |x[i+1] - x[i]| / (0.6745 sqrt 2). A steep start or a single
    jump does not affect it.
    """
    if len(values) < 3:
        return 0.0
    return median(abs(after - before) for before, after in pairwise(values)) / (NORMAL_QUARTILE * math.sqrt(2))

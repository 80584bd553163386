"""Whether a series goes down, and how much it jitters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from statistics import median

NORMAL_QUARTILE = 0.6745
LONGEST = 200
"""Longer series are thinned to so many values: all pairs are compared."""


def kendall_z(values: Sequence[float]) -> float:
    """Mann's statistic for a trend, about standard normal without one; below zero: downwards. (n,) -> z; 0 for n < 3.

    S / sqrt(n (n - 1) (2 n + 5) / 18), with S the rising pairs less the falling ones, drawn towards 0 by one.
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
    """The standard deviation of normal noise around the course that the values take; 0 for n < 3.

    From the median of the neighbours' distances: median |x[i+1] - x[i]| / (0.6745 sqrt 2). A steep start or a
    single jump does not reach it.
    """
    if len(values) < 3:
        return 0.0
    return median(abs(after - before) for before, after in pairwise(values)) / (NORMAL_QUARTILE * math.sqrt(2))

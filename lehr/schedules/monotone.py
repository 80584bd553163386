"""The slopes of a cubic interpolant that is monotone wherever its points are.

Fritsch and Butland 1984, doi 10.1137/0905021, as scipy's PchipInterpolator computes them: at inner points, the
weighted harmonic mean of the two secants, or 0 at an extremum; at the two ends, the limited slope of a one-sided
parabola.

The interpolant needs a slope only multiplied by the width of an adjacent interval, so this module computes that
product. It is at most three times the rise over the interval, however narrow the interval.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

STEEPEST = 1e300
"""Keeps the ratio of two widths finite."""


def hermite_ends(at: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The slopes at the beginning and at the end of each interval, multiplied by its width.

    `at`: two or more increasing positions; `values`: a finite number for each.
    """
    widths = [later - earlier for earlier, later in itertools.pairwise(at)]
    rises = [later - earlier for earlier, later in itertools.pairwise(values)]
    if len(rises) == 1:
        return rises, list(rises)
    begins, ends = [_outer(widths[0], widths[1], rises[0], rises[1])], []
    for k in range(1, len(rises)):
        ends.append(_inner(widths[k], widths[k - 1], rises[k], rises[k - 1]))
        begins.append(_inner(widths[k - 1], widths[k], rises[k - 1], rises[k]))
    ends.append(_outer(widths[-1], widths[-2], rises[-1], rises[-2]))
    return begins, ends


def _inner(other: float, own: float, other_rise: float, own_rise: float) -> float:
    """The slope between two intervals, multiplied by the width of the interval `own`."""
    if other_rise == 0 or own_rise == 0 or (other_rise > 0) != (own_rise > 0):
        return 0.0
    both = 3 * (other + own)
    scaled = (2 * own + other) / both * _ratio(other, own) / other_rise + (own + 2 * other) / both / own_rise
    return 1 / scaled if scaled and math.isfinite(scaled) else 0.0


def _outer(own: float, other: float, own_rise: float, other_rise: float) -> float:
    """The slope at an outer end, multiplied by the width of its interval; `other` is the only adjacent interval."""
    slope = ((2 * own + other) * own_rise - own * _ratio(own, other) * other_rise) / (own + other)
    if slope == 0 or (slope > 0) != (own_rise > 0) or own_rise == 0:
        return 0.0
    if (own_rise > 0) != (other_rise > 0) or other_rise == 0:
        return math.copysign(min(abs(slope), 3 * abs(own_rise)), own_rise)
    return slope


def _ratio(one: float, other: float) -> float:
    return min(one / other, STEEPEST)

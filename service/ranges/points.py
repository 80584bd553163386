"""Finds the characteristic rates of a sweep's smoothed curve: minimum, steepest fall, valley, divergence."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from service.ranges.loss_by_rate import Array, SmoothCurve

SURE = 8.0
"""A fall of fewer standard deviations of the smoothed loss may be chance."""
LEAST_FALL = 1e-3
"""The least fall, as a fraction of the initial loss: a smaller one does not show in its first three digits."""
LOST = 0.5
"""The fraction of the gain that is lost again where training diverges."""


@dataclass(frozen=True, slots=True)
class Points:
    """log10 rates. `divergence` is None if the sweep ended before it."""

    minimum: float
    steepest: float
    valley: float
    divergence: float | None


def points(curve: SmoothCurve) -> Points | None:
    """The curve's points; None if the loss does not fall by more than chance."""
    least = max(SURE * curve.noise, LEAST_FALL * abs(curve.start))
    if curve.lowest == 0 or curve.gain <= least:
        return None
    return Points(
        minimum=float(curve.decades[curve.lowest]),
        steepest=float(curve.decades[_steepest(curve)]),
        valley=float(curve.decades[valley(curve.losses[: curve.lowest + 1])]),
        divergence=_divergence(curve),
    )


def _steepest(curve: SmoothCurve) -> int:
    """The index where the loss falls most per decade before its minimum."""
    slopes = np.gradient(curve.losses, curve.decades)
    return int(np.argmin(slopes[: curve.lowest + 1]))


def _divergence(curve: SmoothCurve) -> float | None:
    """The first rate past the minimum at which half of the gain is lost."""
    level = curve.losses[curve.lowest] + LOST * curve.gain
    beyond = np.flatnonzero(curve.losses[curve.lowest :] >= level)
    return float(curve.decades[curve.lowest + beyond[0]]) if len(beyond) else None


def valley(losses: Array) -> int:
    """The index halfway through the middle third of the longest decreasing subsequence.

    As fastai's `valley` (callback/schedule.py), which also derives the start from the subsequence's length.

    >>> valley(np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.0, 2.0]))
    2
    """
    tails: list[float] = []
    lengths = np.empty(len(losses), dtype=int)
    for index, loss in enumerate(losses):
        place = bisect_left(tails, -loss)
        tails[place : place + 1] = [-float(loss)]
        lengths[index] = place + 1
    end = int(np.argmax(lengths))
    start = end - int(lengths[end])
    third = (end - start) / 3
    return max(0, start + int(third) + int(third / 2))

"""A schedule as a point that all families share: how high its rates are, and how they run.

What a schedule does to a training is in its rates, not in its family's name: two families with
the same rates are the same schedule. So a model over these axes learns from all families' trials
at once, and needs no conditional parameters.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lehr.schedules import Schedule

Array = NDArray[np.float64]

PHASES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Where the rates are read, in parts of the horizon."""
DECADES = 3.0
"""So many decades of the rate are one unit of an axis, as wide as a usual search."""
FLOOR = 1e-12
"""Rates below count as this one: 0 has no logarithm."""


def rates_point(schedule: Schedule) -> Array:
    """(3 + phases,): the highest, mean and last rate on log axes, then the root of rate over highest at each phase.

    The root sets apart how small a small rate is without making an end of 1e-6 another world than
    one of 1e-4. An adaptive schedule, whose rates nobody knows before, counts as constant.
    """
    top = max(schedule.max_lr, FLOOR)
    parts = [1.0] * len(PHASES) if schedule.adaptive else [schedule.lr_at(phase) / top for phase in PHASES]
    areas = (
        (one + other) / 2 * (until - since)
        for (one, since), (other, until) in pairwise(zip(parts, PHASES, strict=True))
    )
    mean = max(top * sum(areas), FLOOR)
    roots = [math.sqrt(min(max(part, 0.0), 1.0)) for part in parts]
    last = max(top * parts[-1], FLOOR)
    return np.array([*(math.log10(rate) / DECADES for rate in (top, mean, last)), *roots])

"""A schedule as a point that all families share: how high its rates are, and when.

What a schedule does to a training is in its rates, not in its family's name: two families with
the same rates are the same schedule. So a model over these axes learns from all families' trials
at once, and needs no conditional parameters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lehr.schedules import Schedule
from lehr.wire.base import LARGEST_VALUE

Array = NDArray[np.float64]

GRID = 101
"""At how many evenly spaced points a schedule's curve is read."""
NEGLIGIBLE = 1e-4
"""A rate below this part of the highest one trains no more than this part of it does."""


def rate_features(schedule: Schedule) -> Array:
    """(4,): decimal logarithms of the highest rate, the mean one, and the mean ones in the first and the last tenth."""
    if schedule.adaptive:  # what a metric makes of it is not known: its highest rate and its lowest stand for it
        rates = np.geomspace(schedule.max_lr, max(schedule.end_lr, schedule.max_lr * NEGLIGIBLE), GRID)
    else:
        rates = schedule.lr_array(np.linspace(0.0, 1.0, GRID))
    rates = np.minimum(rates, LARGEST_VALUE)  # a sum of larger ones may overflow
    top = float(rates.max())
    tenth = GRID // 10
    read = np.array([top, rates.mean(), rates[:tenth].mean(), rates[-tenth:].mean()])
    features: Array = np.log10(np.maximum(read, max(top * NEGLIGIBLE, 1e-300)))
    return features

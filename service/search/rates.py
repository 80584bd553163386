"""Features of a schedule that all families share: how high its rates are, and when.

A schedule affects a training through its rates, not its family's name: two families with
the same rates are the same schedule. So a model over these features learns from the trials of all
families at once, and needs no conditional parameters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lehr.schedules import Schedule
from lehr.wire.base import LARGEST_VALUE

Array = NDArray[np.float64]

GRID = 101
"""Number of evenly spaced points at which a schedule's curve is sampled."""
NEGLIGIBLE = 1e-4
"""Rates below this fraction of the highest rate count as this fraction, because they hardly train anything."""


def rate_features(schedule: Schedule) -> Array:
    """(4,): decimal logarithms of the highest rate, the mean rate, and the mean rates of the first and last tenth."""
    if schedule.adaptive:  # the metric's effect is unknown, so its highest and lowest rate represent it
        rates = np.geomspace(schedule.max_lr, max(schedule.end_lr, schedule.max_lr * NEGLIGIBLE), GRID)
    else:
        rates = schedule.lr_array(np.linspace(0.0, 1.0, GRID))
    rates = np.minimum(rates, LARGEST_VALUE)  # a sum of larger rates may overflow
    top = float(rates.max())
    tenth = GRID // 10
    read = np.array([top, rates.mean(), rates[:tenth].mean(), rates[-tenth:].mean()])
    features: Array = np.log10(np.maximum(read, max(top * NEGLIGIBLE, 1e-300)))
    return features

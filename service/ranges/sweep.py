"""The schedule of a range test's sweep: a short training whose rate rises by the same factor at each step."""

from __future__ import annotations

from lehr.schedules import Constant, Schedule

NEARLY_ALL = 1 - 2.0**-20
"""The warm-up's fraction of the horizon: a warm-up must end before the horizon, here by less than a step."""


def sweep_schedule(low: float, high: float) -> Schedule:
    """From `low` at the first step to `high` at the last, evenly on a log axis.

    Smith 2017, Cyclical learning rates for training neural networks, section 3.3 (there the rate rises linearly).

    >>> [float(f"{sweep_schedule(1e-6, 10.0).lr(step, 8):.3g}") for step in range(8)]
    [1e-06, 1e-05, 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0]
    """
    return Constant(start_lr=low, peak_lr=high, end_lr=high, warmup_fraction=NEARLY_ALL, warmup_shape="exponential")

"""Parameter groups: how a schedule of one rate is applied to an optimizer whose groups have several."""

from __future__ import annotations

from collections.abc import Sequence


def group_ratios(rates: Sequence[float]) -> tuple[float, ...]:
    """What the schedule's rate is multiplied by for each group: the group's own rate over the highest one.

    The highest has the schedule's rate, so that no group exceeds it. Groups of equal rates have 1 each.

    >>> group_ratios([0.1, 0.01, 0.1])
    (1.0, 0.1, 1.0)
    >>> group_ratios([0.0, 0.0])
    (1.0, 1.0)
    """
    highest = max(rates, default=0.0)
    return tuple(rate / highest if highest > 0 else 1.0 for rate in rates)

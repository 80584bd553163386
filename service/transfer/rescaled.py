"""Multiplies every rate of a schedule by a factor: in the same family if possible, otherwise by a composition."""

from __future__ import annotations

import math

from lehr.errors import InvalidScheduleError
from lehr.schedules import Scaled, Schedule, schedule_from_dict

RATES = ("start_lr", "peak_lr", "end_lr")
COMPARED = 33
"""The number of points at which the two schedules are compared."""


def rescaled(schedule: Schedule, factor: float) -> Schedule:
    """The schedule with its rates times `factor`. Raises InvalidScheduleError if a rate would leave its bounds."""
    document = schedule.to_dict()
    scaled = document | {name: document[name] * factor for name in RATES if document.get(name) is not None}
    try:
        plain = schedule_from_dict(scaled)
    except InvalidScheduleError:
        if schedule.adaptive:
            raise
        return Scaled(schedule=schedule, factor=factor)
    if schedule.adaptive or _is_multiple(plain, schedule, factor):
        return plain
    return Scaled(schedule=schedule, factor=factor)


def _is_multiple(plain: Schedule, schedule: Schedule, factor: float) -> bool:
    """Whether all rates are multiplied: a family may have rates beyond the three in RATES, such as knots."""
    points = [index / (COMPARED - 1) for index in range(COMPARED)]
    return all(
        math.isclose(plain.lr_at(point), factor * schedule.lr_at(point), rel_tol=1e-9, abs_tol=0) for point in points
    )

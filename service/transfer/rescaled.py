"""A schedule with every rate multiplied: the same family where that says it, else a composition."""

from __future__ import annotations

import math

from lehr.errors import InvalidScheduleError
from lehr.schedules import Scaled, Schedule, schedule_from_dict

RATES = ("start_lr", "peak_lr", "end_lr")
COMPARED = 33
"""Points of progress at which the two are compared."""


def rescaled(schedule: Schedule, factor: float) -> Schedule:
    """Raises InvalidScheduleError where a rate would leave its bounds."""
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
    """Families may hold rates of their own, such as knots, which the three levels do not move."""
    places = [index / (COMPARED - 1) for index in range(COMPARED)]
    return all(
        math.isclose(plain.lr_at(place), factor * schedule.lr_at(place), rel_tol=1e-9, abs_tol=0) for place in places
    )

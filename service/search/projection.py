"""Schedules from elsewhere, moved into a space."""

from __future__ import annotations

from lehr.schedules import Schedule
from lehr.space import Space


def adapted(space: Space, schedule: Schedule) -> Schedule | None:
    """The space's nearest schedule of the same family; None where the space lacks the family or the highest rate.

    What else lies outside, such as an end below the space's lowest, moves to the nearest bound.
    """
    if schedule.family not in space.families:
        return None
    top = space.top_lr(schedule.family)
    if not top.low <= schedule.max_lr <= top.high:
        return None
    return space.schedule(schedule.family, space.nearest(schedule))

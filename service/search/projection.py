"""Projects schedules from other studies onto a space."""

from __future__ import annotations

from dataclasses import fields, replace

from lehr.errors import InvalidScheduleError
from lehr.schedules import Schedule
from lehr.space import Space
from lehr.space.equality import alike
from lehr.space.ranges import equals


def project_onto(space: Space, schedule: Schedule) -> Schedule | None:
    """The space's nearest schedule of the same family; None if the space lacks the family or the highest rate.

    Other values outside the space, such as an end rate that is too low, move to the nearest bound. Values inside are
    kept exactly: a round trip through the space's logarithms would change their last digits.
    """
    if schedule.family not in space.families:
        return None
    top, highest = space.top_lr(schedule.family), schedule.max_lr
    if not (top.low <= highest <= top.high or equals(highest, top.low) or equals(highest, top.high)):
        return None
    found = space.schedule(schedule.family, space.nearest(schedule))
    written = {each.name: getattr(schedule, each.name) for each in fields(found)}
    kept = {name: value for name, value in written.items() if alike(value, getattr(found, name))}
    try:
        return replace(found, **kept)
    except InvalidScheduleError:  # a moved rate and a kept one contradict each other by a rounding error
        return found

"""Counts the values that a schedule leaves to choose. Of two equally good schedules, the one with fewer is simpler."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from lehr.schedules import Schedule
from lehr.schedules.compositions.composition import Composed
from lehr.space import Range, Space
from lehr.space.equality import alike
from lehr.space.overrides import Values


def complexity(schedule: Schedule, space: Space) -> int:
    """How many values the schedule has that a study of this space had to choose.

    Each rate, fraction and parameter counts, and each element of a list; a list that the study offers counts once.
    Fields that the family ignores, and values that the study fixes or leaves at their defaults, do not count.
    """
    drawn, skipped = space.drawn(schedule.family), schedule.unused_fields
    parts: tuple[Schedule, ...] = ()
    if isinstance(schedule, Composed):
        parts, skipped = tuple(schedule.members), skipped | {schedule.part_field}
    own = [field for field in fields(schedule) if field.init and field.name not in skipped]
    chosen = sum(_chosen(getattr(schedule, field.name), drawn.get(field.name), field.default) for field in own)
    return chosen + sum(complexity(part, space) for part in parts)


def _chosen(value: Any, drawn: Values | None, default: Any) -> int:
    if isinstance(drawn, Range):
        is_drawn, fixed = drawn.low < drawn.high, drawn.low
    else:
        is_drawn, fixed = drawn is not None and len(drawn) > 1 and value in drawn, drawn[0] if drawn else default
    if is_drawn:
        return 1
    if alike(value, fixed):
        return 0
    return len(value) if isinstance(value, tuple) else 1

"""How much there is to choose in a schedule: of two that do equally well the one with less of it is the simpler."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from lehr.schedules import Schedule
from lehr.schedules.compositions.composition import Composed
from lehr.space import Range, Space
from lehr.space.equality import alike
from lehr.space.overrides import Values


def complexity(schedule: Schedule, space: Space) -> int:
    """How many values one has to choose to train with the schedule in a study of this space.

    Each rate, fraction and parameter counts, and of a list each element; a list of the study's own is one choice.
    What the family ignores does not count, nor what the study fixes or leaves at its default.
    """
    drawn, skipped = space.drawn(schedule.family), schedule.unused_fields
    parts: tuple[Schedule, ...] = ()
    if isinstance(schedule, Composed):
        parts, skipped = tuple(schedule.members), skipped | {schedule.part_field}
    own = [each for each in fields(schedule) if each.init and each.name not in skipped]
    chosen = sum(_chosen(getattr(schedule, each.name), drawn.get(each.name), each.default) for each in own)
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

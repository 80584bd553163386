"""When two schedules are one: where every field that shapes the curve is equal but for rounding."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from lehr.schedules import Schedule
from lehr.space.ranges import ROUNDING, equals

WIDTH = 1e3 * ROUNDING
"""How wide a cell is, as a difference of logarithms: of a thousand numbers, two lie within rounding of its edge."""
SMALLEST = 1e-280
"""Numbers below this are in one cell: there the absolute part of the equality counts."""
COMPARED = 8
"""Of so many numbers and texts of a schedule the cell is made; each number may have two."""


def alike(one: object, other: object) -> bool:
    """Whether two values of a schedule's field are equal; numbers, also those within, but for rounding."""
    if isinstance(one, float) and isinstance(other, float):
        return equals(one, other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, Schedule) and isinstance(other, Schedule):
        return same_schedule(one, other)
    return one == other


def same_schedule(one: Schedule, other: Schedule) -> bool:
    """Whether two schedules of a family are one but for rounding. What does not shape the curve may differ."""
    if type(one) is not type(other) or one.unused_fields != other.unused_fields:
        return False
    return all(alike(getattr(one, name), getattr(other, name)) for name in _shaping(one))


def is_among(schedule: Schedule, others: Iterable[Schedule]) -> bool:
    """Whether one of a few others is the same but for rounding."""
    return any(same_schedule(schedule, other) for other in others)


@dataclass
class EqualSchedules:
    """Finds the first of the schedules that are equal but for rounding, in about the same time however many it knows.

    Equality within rounding has no hash. A schedule is kept in a cell of a grid of logarithms, and looked for in all
    cells that one equal to it can be in: mostly in one.
    """

    _cells: dict[tuple[Any, ...], list[Schedule]] = field(default_factory=lambda: defaultdict(list))

    def first(self, schedule: Schedule) -> Schedule:
        """The first schedule equal to this one that was asked about; this one where there was none."""
        leaves = list(itertools.islice(_leaves(schedule), COMPARED))
        for cell in itertools.product(*map(_cells_near, leaves)):
            for known in self._cells.get(cell, ()):
                if same_schedule(known, schedule):
                    return known
        self._cells[tuple(_cell(leaf, 0.0) for leaf in leaves)].append(schedule)
        return schedule


def _shaping(schedule: Schedule) -> Iterator[str]:
    unused = schedule.unused_fields
    return (each.name for each in fields(schedule) if each.name not in unused)


def _leaves(value: Any) -> Iterator[Any]:
    """The numbers and texts that a schedule is made of."""
    if isinstance(value, Schedule):
        yield value.family
        for name in _shaping(value):
            yield from _leaves(getattr(value, name))
    elif isinstance(value, tuple):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _cells_near(leaf: Any) -> set[Any]:
    """Of a value: the cells that one equal to it can be in."""
    return {_cell(leaf, -2 * ROUNDING), _cell(leaf, 2 * ROUNDING)}


def _cell(leaf: Any, beside: float) -> Any:
    if not isinstance(leaf, float):
        return leaf
    return math.floor((math.log(max(abs(leaf), SMALLEST)) + beside) / WIDTH)

"""Compares schedules: they are the same if all fields that shape the curve are equal within rounding."""

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
"""Width of a cell on the log scale: only two in a thousand numbers are within rounding of an edge."""
SMALLEST = 1e-280
"""Numbers below this share a cell, because equality has an absolute tolerance there."""
COMPARED = 8
"""A cell consists of at most this many of a schedule's values, because each number can double the cells to search."""


def alike(one: object, other: object) -> bool:
    """Whether two values of a schedule's field are equal. Numbers, also nested ones, are compared within rounding."""
    if isinstance(one, float) and isinstance(other, float):
        return equals(one, other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, Schedule) and isinstance(other, Schedule):
        return same_schedule(one, other)
    return one == other


def same_schedule(one: Schedule, other: Schedule) -> bool:
    """Whether two schedules are equal within rounding. Fields that do not shape the curve may differ."""
    if type(one) is not type(other) or one.unused_fields != other.unused_fields:
        return False
    return all(alike(getattr(one, name), getattr(other, name)) for name in _shaping(one))


def is_among(schedule: Schedule, others: Iterable[Schedule]) -> bool:
    """Whether one of a few others is equal to the schedule within rounding."""
    return any(same_schedule(schedule, other) for other in others)


@dataclass
class EqualSchedules:
    """Finds the first of the schedules that are equal within rounding, in nearly constant time.

    Equality within rounding cannot use a hash. So each schedule is stored in a cell of a logarithmic grid, and a search
    covers all cells in which an equal schedule can be: usually just one.
    """

    _cells: dict[tuple[Any, ...], list[Schedule]] = field(default_factory=lambda: defaultdict(list))

    def first(self, schedule: Schedule) -> Schedule:
        """The first schedule passed to this method that equals this one; this one if there was none."""
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
    """Yields the numbers and strings in a schedule."""
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
    """The cells in which a value equal to this one can be."""
    return {_cell(leaf, -2 * ROUNDING), _cell(leaf, 2 * ROUNDING)}


def _cell(leaf: Any, beside: float) -> Any:
    if not isinstance(leaf, float):
        return leaf
    return math.floor((math.log(max(abs(leaf), SMALLEST)) + beside) / WIDTH)

"""Schedules that differ only by rounding count as one, and keep their rates as written."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lehr.errors import InvalidScheduleError, InvalidSpaceError
from lehr.schedules import Constant, Cosine, Linear, Schedule
from lehr.space import Range, Space
from lehr.space.equality import EqualSchedules, same_schedule
from service.search.projection import project_onto
from service.search.sequence import random_point
from tests.support.schedules import CLOSED_FORM, closed_form, compositions

SPACE = Space.of(warmup_fraction=Range(0.0, 0.2))


def moved(schedule: Schedule, by: float, name: str | None = None) -> Schedule:
    """Every number, or the one of this name, a part `by` larger."""
    changed: dict[str, Any] = {}
    for each in fields(schedule):
        value = getattr(schedule, each.name)
        if isinstance(value, float) and name in (None, each.name):
            changed[each.name] = value * (1 + by)
        elif isinstance(value, tuple) and name is None:
            changed[each.name] = tuple(element * (1 + by) for element in value)
    try:
        return replace(schedule, **changed)
    except InvalidScheduleError:
        assume(False)
        raise


@given(closed_form(), st.floats(-1e-12, 1e-12))
def test_schedules_that_differ_by_rounding_are_one(schedule: Schedule, by: float) -> None:
    other = moved(schedule, by)
    assert same_schedule(schedule, other)
    assert same_schedule(other, schedule)
    known = EqualSchedules()
    assert known.first(schedule) is schedule
    assert known.first(other) is schedule


@given(closed_form(), st.sampled_from([-1e-6, 1e-6, 0.1]))
def test_schedules_that_differ_by_more_are_two(schedule: Schedule, by: float) -> None:
    other = moved(schedule, by, "start_lr")
    assume(other.start_lr > 1e-290)  # below there are too few digits to tell
    assert not same_schedule(schedule, other)
    known = EqualSchedules()
    assert known.first(schedule) is schedule
    assert known.first(other) is other


@given(st.lists(closed_form() | compositions(), min_size=2, max_size=6))
def test_what_is_found_at_once_is_what_comparing_each_with_each_finds(schedules: list[Schedule]) -> None:
    schedules = [*schedules, *schedules[:2]]
    known = EqualSchedules()
    for at, schedule in enumerate(schedules):
        slow = next((other for other in schedules[:at] if same_schedule(other, schedule)), schedule)
        assert same_schedule(known.first(schedule), slow)


def test_a_field_that_does_not_shape_the_curve_makes_no_other_schedule() -> None:
    plain = Cosine(start_lr=0.1, end_lr=0.001)
    assert same_schedule(plain, replace(plain, warmup_shape="cosine"))
    assert not same_schedule(plain, Linear(start_lr=0.1, end_lr=0.001))


@given(st.sampled_from([name for name in CLOSED_FORM if name in SPACE.families]), st.integers(0, 2**32))
def test_a_schedule_of_a_space_is_kept_as_it_is_written(family: str, seed: int) -> None:
    schedule = SPACE.schedule(family, random_point(SPACE.coordinates(family), seed))
    assert project_onto(SPACE, schedule) == schedule


@pytest.mark.parametrize("rate", [1e-3, 0.0009999999999999996, 1e-4, 9.999999999999999e-05, 1.0, 1.0000000000000002])
def test_rates_are_kept_as_they_are_written_also_at_a_bound(rate: float) -> None:
    schedule = Constant(start_lr=rate, end_lr=rate)
    assert project_onto(Space.of(), schedule) == schedule


def test_what_lies_outside_is_moved_and_the_rest_is_kept() -> None:
    schedule = Cosine(start_lr=0.0009999999999999996, end_lr=1e-9)
    found = project_onto(Space.of(), schedule)
    assert found is not None
    assert (found.start_lr, found.end_lr) == (0.0009999999999999996, pytest.approx(1e-6))
    assert project_onto(Space.of(), Cosine(start_lr=1.1, end_lr=1e-3)) is None


@given(st.floats(-1e-12, 1e-12))
def test_a_rate_at_a_bound_within_rounding_has_the_bounds_point(by: float) -> None:
    space = Space.of(families=["cosine"])
    at_bound = space.point(Cosine(start_lr=0.1, end_lr=1e-6))
    try:
        found = space.point(Cosine(start_lr=0.1, end_lr=1e-6 * (1 + by)))
    except InvalidSpaceError:
        pytest.fail("a rate that lies outside by rounding lies inside")
    assert found["end_position"] == at_bound["end_position"] == 0.0

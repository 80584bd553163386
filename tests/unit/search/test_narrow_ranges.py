"""Ranges whose ends differ only by rounding, as computed ones do: 0.1 ** 2 is not 0.01."""

from __future__ import annotations

import math

import pytest

from lehr.schedules import FAMILIES, Schedule
from lehr.space import Range, Space
from lehr.wire.search_methods import SAMPLERS
from service.search.observations import Observation
from service.search.searcher import Searcher

SOME = ["constant", "cosine", "one_cycle", "polynomial"]
SEARCHABLE = [name for name, family in FAMILIES.items() if family.searchable]


def next_to(value: float) -> float:
    return math.nextafter(value, math.inf)


ROUNDED = [(1e-2, 0.1**2), (1.0, next_to(1.0)), (1e-2, 1e-2 * (1 + 1e-12)), (0.3, 0.1 + 0.2)]
NARROW = [(1e-2, 1e-2 * (1 + 3e-9)), (1e-2, 1e-2 * (1 + 1e-6))]


def search(space: Space, sampler: str, trials: int = 16) -> list[Schedule]:
    """The schedules that the search asks for."""
    searcher = Searcher(space, "minimize", sampler, 0, trials_budget=30)
    schedules = []
    for number in range(trials):
        suggestion = searcher.ask(number)
        schedule = suggestion.schedule
        space.point(schedule)
        searcher.tell(Observation(number, schedule.family, suggestion.point, "COMPLETED", math.sin(number)))
        schedules.append(schedule)
    return schedules


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("ends", ROUNDED)
def test_ends_that_differ_by_rounding_are_one_value_to_every_sampler(ends: tuple[float, float], sampler: str) -> None:
    space = Space.of(families=SOME, start_lr=Range(*ends), end_lr=Range(1e-4, 1e-3))
    assert {schedule.max_lr for schedule in search(space, sampler)} == {ends[0]}


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("ends", NARROW)
def test_a_narrow_range_is_searched_by_every_sampler(ends: tuple[float, float], sampler: str) -> None:
    space = Space.of(families=SOME, start_lr=Range(*ends), end_lr=Range(1e-4, next_to(1e-4)))
    assert all(ends[0] <= schedule.max_lr <= ends[1] for schedule in search(space, sampler))


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "surrogate"])
def test_every_family_takes_ranges_that_rounding_has_left_between_two_others(sampler: str) -> None:
    """The highest rate lies between end_lr's low end and start_lr's high end, which rounding sets apart."""
    space = Space.of(
        families=SEARCHABLE,
        start_lr=Range(1e-3, 0.1**2),
        end_lr=Range(1e-2, 1.0),
        warmup_fraction=Range(0.1, next_to(0.1)),
        parameters={"polynomial": {"power": Range(2.0, next_to(2.0))}},
    )
    decaying = [schedule for schedule in search(space, sampler, trials=24) if schedule.family != "constant"]
    assert {schedule.max_lr for schedule in decaying} == {1e-2}


def test_a_schedule_is_in_a_range_that_misses_it_by_rounding() -> None:
    space = Space.of(families=["constant"], start_lr=Range(1e-2, 0.1**2))
    for rate in (1e-2, 0.1**2):
        constant = FAMILIES["constant"](start_lr=rate, end_lr=rate)
        assert space.point(constant) == {}

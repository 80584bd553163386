"""Grid points and low-discrepancy sequences, which need no model."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import qmc

from lehr.space import Coordinate, Range, Space
from service.search.samplers.grid import grid_points, levels
from service.search.sequence import from_unit, halton, point_key, random_point, spread_point, to_unit
from tests.unit.search.landscape import FAMILIES, SPACE

RATE = Coordinate("start_lr", "float", 1e-4, 1.0, log=True)


def test_the_sequence_is_haltons() -> None:
    expected = qmc.Halton(3, scramble=False).random(50)[1:]
    for index, row in enumerate(expected, start=1):
        assert [halton(index, base) for base in (2, 3, 5)] == pytest.approx(list(row))


def test_a_spread_covers_a_rates_range_evenly() -> None:
    rates = sorted(spread_point((RATE,), index, 1, "constant")["start_lr"] for index in range(16))
    gaps = [math.log10(float(high) / float(low)) for low, high in itertools.pairwise(rates)]
    assert max(gaps) <= 4 * 2 / 16


@given(st.floats(0, 1))
def test_a_unit_value_lands_inside_every_coordinate_and_comes_back(unit: float) -> None:
    for family in SPACE.families:
        for one in SPACE.coordinates(family):
            value = from_unit(one, unit)
            assert one.read(value) == value
            if one.kind == "float":
                assert to_unit(one, value) == pytest.approx(unit, abs=1e-9)


def test_the_grid_has_about_as_many_points_as_the_budget_and_each_once() -> None:
    for budget in (6, 30, 100, 1000):
        points = grid_points(SPACE, budget, seed=0)
        keys = {point_key(family, point) for family, point in points}
        assert len(keys) == len(points) <= budget
        assert len(points) >= budget / 3
        assert {family for family, _ in points} == set(FAMILIES)


def test_every_point_of_the_grid_is_a_schedule_of_the_space() -> None:
    space = Space.of(warmup_fraction=Range(0.0, 0.2))
    for family, point in grid_points(space, 400, seed=0):
        assert space.schedule(family, point).family == family


def test_levels_are_as_equal_as_the_share_allows() -> None:
    choice = Coordinate("c", "choice", choices=("a", "b"))
    whole = Coordinate("n", "int", 1, 3)
    assert levels((RATE, RATE), 12) == [4, 3]
    assert levels((RATE, choice), 12) == [6, 2]
    assert levels((whole, choice), 100) == [3, 2]
    assert levels((), 5) == []


def test_a_random_point_depends_on_its_seed_alone() -> None:
    coordinates = SPACE.coordinates("one_cycle")
    assert random_point(coordinates, 5) == random_point(coordinates, 5)
    assert random_point(coordinates, 5) != random_point(coordinates, 6)

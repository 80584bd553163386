"""A schedule's complexity equals the number of independent directions in which its curve can change."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lehr.errors import InvalidScheduleError
from lehr.schedules import FAMILIES, Constant, Cosine, CosineRestarts, KDecay, Linear, MultiStep, Piecewise, Schedule
from lehr.schedules.parameters import parameter_of
from lehr.space import Coordinate, Range, Space
from service.answer.complexity import complexity
from tests.support.schedules import CLOSED_FORM, compositions, schedules

DRAWABLE = [name for name in CLOSED_FORM if FAMILIES[name].drawable]
HORIZON = 4001
STEP = 1e-5
DEFAULT = Space.of()


def curve(schedule: Schedule) -> NDArray[np.float64]:
    return np.log10(schedule.curve_array(HORIZON).lr)


def directions(space: Space, family: str) -> int:
    """In how many independent ways the curve moves with the family's numbers, and how many of its choices change it."""
    axes = space.coordinates(family)
    numbers = [one for one in axes if one.kind == "float"]
    point: dict[str, Any] = {one.name: _middle(one) for one in axes}
    here = curve(space.schedule(family, point))
    moved = [curve(space.schedule(family, {**point, one.name: _shifted(one, point[one.name])})) for one in numbers]
    slopes = np.stack([(each - here) / STEP for each in moved])
    others = [one for one in axes if one.kind != "float"]
    changing = sum((curve(space.schedule(family, {**point, one.name: _other(one)})) != here).any() for one in others)
    scaled = slopes / np.abs(slopes).max(axis=1, keepdims=True)
    return int(np.linalg.matrix_rank(scaled, tol=1e-4)) + int(changing)


def _middle(axis: Coordinate) -> Any:
    if axis.kind == "choice":
        return axis.choices[0]
    if axis.kind == "int":
        return int(axis.low) + 1
    place = 0.43
    return axis.low ** (1 - place) * axis.high**place if axis.log else axis.low + place * (axis.high - axis.low)


def _shifted(axis: Coordinate, value: float) -> float:
    return value * (axis.high / axis.low) ** STEP if axis.log else value + STEP * (axis.high - axis.low)


def _other(axis: Coordinate) -> Any:
    return axis.choices[-1] if axis.kind == "choice" else int(axis.high)


@pytest.mark.parametrize("family", DRAWABLE)
@pytest.mark.parametrize("warmup", [None, Range(0.01, 0.2)])
def test_what_there_is_to_choose_is_what_the_curve_can_be_bent_by(family: str, warmup: Range | None) -> None:
    space = Space.of(families=[family], warmup_fraction=warmup)
    schedule = space.schedule(family, {one.name: _middle(one) for one in space.coordinates(family)})
    assert complexity(schedule, space) == directions(space, family)


@pytest.mark.parametrize(
    ("family", "count"),
    [("constant", 1), ("linear", 2), ("cosine", 2), ("step", 3), ("wsd", 4), ("one_cycle", 5), ("inverse_time", 2)],
)
def test_families_count_as_one_would_count_them(family: str, count: int) -> None:
    space = Space.of(families=[family])
    point = {one.name: _middle(one) for one in space.coordinates(family)}
    assert complexity(space.schedule(family, point), space) == count


@given(st.sampled_from(CLOSED_FORM).flatmap(schedules), st.data())
def test_a_field_that_is_unused_leaves_the_curve_as_it_is(schedule: Schedule, data: st.DataObject) -> None:
    for name in schedule.unused_fields - {"warmup_fraction", "end_lr"}:
        declared = next(each for each in fields(schedule) if each.name == name)
        parameter = parameter_of(declared)
        low, high = max(parameter.low, -10.0), min(parameter.high, 10.0)
        numbers = st.floats(low, high, exclude_min=parameter.open_low, exclude_max=parameter.open_high)
        value = data.draw(st.sampled_from(parameter.choices) if parameter.choices else numbers, label=name)
        try:
            changed = replace(schedule, **{name: value})
        except InvalidScheduleError:
            continue
        assert changed.curve(50).lr == schedule.curve(50).lr


def test_what_a_study_fixes_is_not_counted() -> None:
    space = Space.of(
        families=["linear", "polynomial", "multistep"],
        end_lr=Range(1e-5, 1e-5),
        parameters={"polynomial": {"power": [2.0]}},
    )
    linear = Linear(start_lr=0.1, end_lr=1e-5)
    assert complexity(linear, space) == 1
    assert complexity(replace(linear, end_lr=1e-4), space) == 2  # one's own, that the study would not draw
    assert complexity(space.schedule("polynomial", {"start_lr": 0.1}), space) == 1


def test_what_one_adds_to_a_study_that_does_not_draw_it_is_counted() -> None:
    plain = Cosine(start_lr=0.1, end_lr=0.001)
    warmed = Cosine(start_lr=0.01, peak_lr=0.1, end_lr=0.001, warmup_fraction=0.1)
    assert complexity(plain, DEFAULT) == 2
    assert complexity(warmed, DEFAULT) == 4
    assert complexity(replace(warmed, warmup_shape="cosine"), DEFAULT) == 5
    assert complexity(replace(plain, warmup_shape="cosine"), DEFAULT) == 2
    assert complexity(Constant(start_lr=0.01, peak_lr=0.1, end_lr=0.1, warmup_fraction=0.1), DEFAULT) == 3
    assert complexity(Piecewise(start_lr=0.1, end_lr=0.0, knots=(0.2, 0.6), rates=(0.5, 0.1)), DEFAULT) == 6
    assert complexity(MultiStep(start_lr=0.1, end_lr=0.001, milestones=(0.1, 0.2, 0.3)), DEFAULT) == 5


def test_what_a_family_ignores_is_not_counted() -> None:
    restarts = Space.of(families=["cosine_restarts"], parameters={"cosine_restarts": {"cycles": Range(1, 5)}})
    once = CosineRestarts(start_lr=0.1, end_lr=0.001, cycles=1, cycle_growth=2.0, cycle_decay=0.5)
    assert complexity(once, restarts) == 3
    assert complexity(replace(once, cycles=2), restarts) == 5
    bent = Space.of(families=["k_decay"])
    assert complexity(KDecay(start_lr=0.1, end_lr=0.001, k=2.0, power=3.0), bent) == 4
    assert complexity(KDecay(start_lr=0.1, end_lr=0.001, k=2.0, power=3.0, curve_shape="polynomial"), bent) == 5


@given(compositions())
def test_a_composition_is_less_simple_than_each_of_its_parts(schedule: Schedule) -> None:
    for part in schedule.members:  # type: ignore[attr-defined]
        assert complexity(part, DEFAULT) <= complexity(schedule, DEFAULT)

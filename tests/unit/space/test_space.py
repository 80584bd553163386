"""Every point of the search space is a valid schedule within the requested ranges."""

from __future__ import annotations

import json
import math
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lehr.errors import InvalidSpaceError
from lehr.schedules import FAMILIES, Constant, Cosine, OneCycle, Wsd
from lehr.space import DEFAULT_END_LR, DEFAULT_START_LR, Range, Space

RATE = st.one_of(st.floats(-8, 1).map(lambda e: 10.0**e), st.floats(-300, 300).map(lambda e: 10.0**e))
EDGES = st.sampled_from([0.0, 5e-324, 1e-17, 0.1, 1 / 3, math.nextafter(1, 0), 1.0])


DRAWABLE = [name for name, family in FAMILIES.items() if family.drawable]


@st.composite
def ranges(draw, ends=RATE):
    """A range: wide, a single value, or as narrow as floats can be."""
    low = draw(ends)
    high = draw(st.one_of(ends, st.just(low), st.just(math.nextafter(low, math.inf))))
    return Range(min(low, high), max(low, high))


@st.composite
def spaces(draw):
    """Spaces whose rate ranges are anything that a space accepts."""
    asked = {
        "families": draw(st.none() | st.lists(st.sampled_from(DRAWABLE), min_size=1, unique=True)),
        "start_lr": draw(ranges()),
        "end_lr": draw(ranges()),
        "peak_lr": draw(st.none() | ranges()),
        "warmup_fraction": draw(st.none() | ranges(st.sampled_from([0.0, 1e-12, 0.05, 0.1, 0.5]))),
    }
    try:
        return Space.of(**asked)
    except InvalidSpaceError:  # infeasible: raised to a start above every end, which is feasible
        start = Range(asked["end_lr"].high, asked["end_lr"].high * 1000)
        return Space.of(**{**asked, "start_lr": start, "peak_lr": None, "warmup_fraction": None})


@st.composite
def points(draw, space, family):
    point = {}
    for each in space.coordinates(family):
        if each.kind == "choice":
            point[each.name] = draw(st.sampled_from(each.choices))
        elif each.kind == "int":
            point[each.name] = draw(st.integers(each.low, each.high))
        else:
            ends = st.sampled_from([each.low, each.high])
            inside = st.floats(each.low, each.high) if not each.log else EDGES.map(
                lambda x, each=each: min(max(each.low ** (1 - x) * each.high**x, each.low), each.high)
            )  # fmt: skip
            point[each.name] = draw(ends | inside)
    return point


@settings(max_examples=400)
@given(data=st.data())
def test_every_point_is_a_valid_schedule_within_the_ranges_and_back(data):
    space = data.draw(spaces())
    family = data.draw(st.sampled_from(space.families))
    point = data.draw(points(space, family))
    schedule = space.schedule(family, point)
    assert space.start_lr.low <= schedule.start_lr <= space.start_lr.high
    assert schedule.end_lr <= schedule.max_lr
    if FAMILIES[family].decays:
        assert space.end_lr.low <= schedule.end_lr <= space.end_lr.high
    if schedule.peak_lr is not None:
        peak = space.peak_lr or space.start_lr
        assert max(peak.low, schedule.start_lr) <= schedule.peak_lr <= peak.high
    again = space.schedule(family, space.point(schedule))
    for field in fields(schedule):
        value, other = getattr(schedule, field.name), getattr(again, field.name)
        assert other == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value)


def test_three_phases_need_a_rise_of_half_the_horizon_or_less():
    phases = {"phases": ["three"]}
    assert Space.of(families=["one_cycle"], parameters={"one_cycle": phases}).own_values("one_cycle")["phases"] == (
        "three",
    )
    with pytest.raises(InvalidSpaceError, match=r"parameters\.one_cycle\.phases"):
        Space.of(families=["one_cycle"], parameters={"one_cycle": {**phases, "warmup_fraction": Range(0.1, 0.6)}})


def test_a_range_of_neighbouring_floats_has_positions():
    low = 0.3
    middle = math.nextafter(low, 1)
    high = math.nextafter(middle, 1)
    space = Space.of(families=["cosine"], end_lr=Range(low, high), start_lr=Range(1.0, 2.0))
    schedule = Cosine(start_lr=1.5, end_lr=middle)
    assert space.schedule("cosine", space.point(schedule)).end_lr == pytest.approx(middle, rel=1e-15)


@given(data=st.data())
def test_coordinates_are_distinct_and_bounded_and_more_than_one_value_wide(data):
    space = data.draw(spaces())
    for family in space.families:
        axes = space.coordinates(family)
        assert len({each.name for each in axes}) == len(axes)
        for each in axes:
            assert len(set(each.choices)) > 1 if each.kind == "choice" else -math.inf < each.low < each.high < math.inf
            assert not each.log or each.low > 0


def test_the_default_space_has_every_searchable_family_and_shares_coordinates_by_name():
    space = Space.of()
    assert set(space.families) == {name for name, family in FAMILIES.items() if family.searchable}
    assert (space.start_lr, space.end_lr) == (DEFAULT_START_LR, DEFAULT_END_LR)
    shared = {each.name for name in space.families for each in space.coordinates(name) if "." not in each.name}
    assert shared == {"start_lr", "peak_lr", "start_position", "end_position"}


def test_constant_always_takes_part_and_has_no_warm_up():
    space = Space.of(families=["cosine"], warmup_fraction=Range(0.05, 0.1))
    assert space.families == ("constant", "cosine")
    assert space.schedule("constant", {"start_lr": 0.1}) == Constant(start_lr=0.1, end_lr=0.1)
    assert Space.of(families=["cosine", "constant"]).families == ("cosine", "constant")


def test_a_warm_up_range_makes_a_family_climb_to_its_peak():
    space = Space.of(families=["cosine"], peak_lr=Range(0.1, 1.0), warmup_fraction=Range(0.05, 0.1))
    point = {"peak_lr": 0.5, "start_position": 0.0, "end_position": 1.0, "warmup_fraction": 0.1}
    assert space.schedule("cosine", point) == Cosine(start_lr=1e-4, peak_lr=0.5, end_lr=0.1, warmup_fraction=0.1)


def test_a_warm_up_of_nothing_starts_at_the_top():
    space = Space.of(families=["cosine"], peak_lr=Range(0.1, 10.0), warmup_fraction=Range(0, 0.1))
    point = {"peak_lr": 5.0, "start_position": 0.3, "end_position": 1.0, "warmup_fraction": 0.0}
    assert space.schedule("cosine", point) == Cosine(start_lr=1.0, end_lr=0.1)
    assert space.schedule("cosine", {**point, "peak_lr": 0.2}) == Cosine(start_lr=0.2, end_lr=0.1)


def test_one_cycle_draws_a_rise_of_its_own_unless_told_otherwise():
    names = {each.name: each for each in Space.of(warmup_fraction=Range(0.01, 0.02)).coordinates("one_cycle")}
    assert "warmup_fraction" not in names
    assert (names["one_cycle.warmup_fraction"].low, names["one_cycle.warmup_fraction"].high) == (0.1, 0.5)
    space = Space.of(parameters={"one_cycle": {"warmup_fraction": Range(0.2, 0.2), "anneal": ["linear"]}})
    point = {"peak_lr": 0.5, "start_position": 0.0, "end_position": 0.0}
    expected = OneCycle(start_lr=1e-4, peak_lr=0.5, end_lr=1e-6, warmup_fraction=0.2, anneal="linear")
    assert space.schedule("one_cycle", point) == expected


def test_ranges_with_one_value_are_not_searched():
    space = Space.of(families=["linear"], start_lr=Range(0.1, 0.1), end_lr=Range(0.01, 0.01))
    assert space.coordinates("linear") == ()
    assert space.schedule("linear", {}).to_dict() == space.schedule("linear", {"start_lr": 0.1}).to_dict()
    assert space.point(space.schedule("linear", {})) == {}


def test_overrides_narrow_a_familys_own_parameters():
    space = Space.of(
        families=["step", "multistep", "wsd"],
        parameters={
            "step": {"drops": Range(2.0, 4.0)},
            "multistep": {"milestones": [[0.5, 0.9], [0.2]]},
            "wsd": {"cooldown": ("sqrt",), "cooldown_fraction": [0.1, 0.2]},
        },
    )
    axes = {each.name: each for family in space.families for each in space.coordinates(family)}
    assert (axes["step.drops"].kind, axes["step.drops"].low, axes["step.drops"].high) == ("int", 2, 4)
    assert axes["multistep.milestones"].choices == ("0.5, 0.9", "0.2")
    assert axes["wsd.cooldown_fraction"].choices == (0.1, 0.2)
    wsd = space.schedule("wsd", {"start_lr": 0.1, "end_position": 1.0, "wsd.cooldown_fraction": 0.2})
    assert wsd == Wsd(start_lr=0.1, end_lr=0.1, cooldown_fraction=0.2, cooldown="sqrt")


def test_a_space_is_the_same_after_json():
    space = Space.of(
        peak_lr=Range(0.1, 1),
        warmup_fraction=Range(0, 0.1),
        parameters={"polynomial": {"power": Range(1, 2)}, "multistep": {"milestones": [[0.5, 0.9]]}},
    )
    document = json.loads(json.dumps(space.to_dict()))

    def values(value):
        return Range(**value) if isinstance(value, dict) else value

    own = {
        family: {name: values(each) for name, each in own.items()} for family, own in document.pop("parameters").items()
    }
    again = Space.of(**{name: values(value) for name, value in document.items()}, parameters=own)
    assert again == space


def faults_of(**asked):
    with pytest.raises(InvalidSpaceError) as refused:
        Space.of(**asked)
    for fault in refused.value.faults:
        assert fault.message
        assert fault.bound
        assert fault.remedy
    return refused.value.faults


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"families": []}, ["families"]),
        ({"families": "cosine"}, ["families"]),
        ({"families": ["cosine", "cosin", "cosine", 3]}, ["families[1]", "families[2]", "families[3]"]),
        ({"start_lr": Range(1.0, 0.1)}, ["start_lr.low"]),
        (
            {"start_lr": Range(0.0, 0.1), "end_lr": Range(math.nan, math.inf)},
            ["start_lr.low", "end_lr.low", "end_lr.high"],
        ),
        ({"start_lr": Range(True, "1")}, ["start_lr.low", "start_lr.high"]),
        ({"start_lr": None}, ["start_lr"]),
        ({"start_lr": (0.1, 1.0)}, ["start_lr"]),
        ({"peak_lr": Range(-1.0, 0.1)}, ["peak_lr.low"]),
        ({"warmup_fraction": Range(0.1, 1.0)}, ["warmup_fraction.high"]),
        ({"warmup_fraction": 0}, ["warmup_fraction"]),
        ({"start_lr": Range(1e-4, 1e-3), "end_lr": Range(1e-2, 1e-1)}, ["start_lr.high"]),
        ({"families": ["one_cycle"], "peak_lr": Range(1e-6, 1e-5)}, ["peak_lr.high"]),
        (
            {"families": ["cosine"], "start_lr": Range(1e-6, 1e-5), "peak_lr": Range(0.1, 1),
             "end_lr": Range(1e-3, 0.1), "warmup_fraction": Range(0, 0.1)},
            ["warmup_fraction.low"],
        ),
        ({"families": ["multistep"], "warmup_fraction": Range(0, 0.9)}, ["warmup_fraction.high"]),
        ({"families": ["wsd"], "warmup_fraction": Range(0, 0.6)}, ["parameters.wsd.cooldown_fraction"]),
        ({"parameters": {"cosin": {}}}, ["parameters.cosin"]),
        ({"parameters": {"cosine": 3}}, ["parameters.cosine"]),
        ({"parameters": {"step": {"drop": Range(1, 2)}}}, ["parameters.step.drop"]),
        ({"parameters": {"step": {"start_lr": Range(1, 2)}}}, ["parameters.step.start_lr"]),
        ({"parameters": {"step": {"drops": Range(0, 2)}}}, ["parameters.step.drops.low"]),
        ({"parameters": {"step": {"drops": Range(1.5, 2)}}}, ["parameters.step.drops.low"]),
        ({"parameters": {"step": {"drops": [1, 1]}}}, ["parameters.step.drops"]),
        ({"parameters": {"step": {"drops": []}}}, ["parameters.step.drops"]),
        ({"parameters": {"step": {"drops": 3}}}, ["parameters.step.drops"]),
        ({"parameters": {"wsd": {"cooldown": Range(1, 2)}}}, ["parameters.wsd.cooldown"]),
        ({"parameters": {"wsd": {"cooldown": ["linear", "steep"]}}}, ["parameters.wsd.cooldown[1]"]),
        ({"parameters": {"multistep": {"milestones": [[0.5, 0.2]]}}}, ["parameters.multistep.milestones[0]"]),
        ({"parameters": {"polynomial": {"power": Range(2, 1)}}}, ["parameters.polynomial.power.low"]),
    ],
)  # fmt: skip
def test_a_wrong_space_names_each_wrong_field(asked, expected):
    assert [fault.field for fault in faults_of(**asked)] == expected


def test_unknown_names_come_with_the_nearest_known_one():
    assert "cosine" in faults_of(families=["cosin"])[0].remedy
    assert "drops" in faults_of(parameters={"step": {"drop": Range(1, 2)}})[0].remedy


@pytest.mark.parametrize(
    "point",
    [
        {},
        {"start_lr": 0.1},
        {"start_lr": 2.0, "end_position": 0.5},
        {"start_lr": math.nan, "end_position": 0.5},
        {"start_lr": True, "end_position": 0.5},
        {"start_lr": "0.1", "end_position": 0.5},
        {"start_lr": 0.1, "end_position": -0.01},
        {"start_lr": 0.1, "end_position": 0.5, "peak_lr": 0.1},
    ],
)
def test_a_point_off_the_coordinates_is_refused(point):
    with pytest.raises(InvalidSpaceError):
        Space.of().schedule("cosine", point)


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        (Cosine(start_lr=2.0, end_lr=0.01), "start_lr"),
        (Cosine(start_lr=0.1, end_lr=0.0), "end_lr"),
        (Cosine(start_lr=0.01, peak_lr=0.1, end_lr=0.001, warmup_fraction=0.1), "peak_lr"),
        (Wsd(start_lr=0.1, end_lr=0.01, cooldown_fraction=0.9), "cooldown_fraction"),
        (OneCycle(start_lr=0.01, peak_lr=0.1, end_lr=0.001, base_momentum=0.8, max_momentum=0.9), "base_momentum"),
    ],
)
def test_a_schedule_outside_the_space_has_no_point(schedule, field):
    with pytest.raises(InvalidSpaceError) as refused:
        Space.of().point(schedule)
    assert field in [fault.field for fault in refused.value.faults]


def test_a_family_outside_the_space_has_neither_coordinates_nor_points():
    space = Space.of(families=["cosine"])
    for call in (lambda: space.coordinates("step"), lambda: space.schedule("step", {}),
                 lambda: space.point(Wsd(start_lr=0.1, end_lr=0.01))):  # fmt: skip
        with pytest.raises(InvalidSpaceError):
            call()

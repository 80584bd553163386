"""Compositions satisfy the same laws as schedules."""

from __future__ import annotations

import json
import math

import jsonschema
import numpy as np
import optax
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lehr.errors import InvalidScheduleError, InvalidSpaceError, InvalidValueError
from lehr.schedules import (
    COMPOSITIONS,
    Clipped,
    Constant,
    Cosine,
    Joined,
    Linear,
    OneCycle,
    Plateau,
    Scaled,
    Step,
    Stretched,
    change_of_horizon,
    family_json_schema,
    schedule_from_dict,
    schedule_json_schema,
    warmed_up,
)
from lehr.schedules.portable import torch_code
from lehr.space import Space
from tests.support.schedules import compositions

many = settings(max_examples=300)
LINE = Linear(start_lr=1.0, end_lr=0.25)
LINE_DOCUMENT = {"family": "linear", "start_lr": 1.0, "end_lr": 0.25}


@many
@given(schedule=compositions(), progress=st.floats(0, 1))
def test_every_rate_is_finite_and_within_the_bounds(schedule, progress):
    for rate in (schedule.lr_at(progress), schedule.start_lr, schedule.end_lr):
        assert math.isfinite(rate)
        assert schedule.min_lr <= rate <= schedule.max_lr
    assert schedule.max_lr == (schedule.start_lr if schedule.peak_lr is None else schedule.peak_lr)


@many
@given(schedule=compositions(), horizon=st.integers(2, 10**12), times=st.integers(1, 1000), step=st.integers(0, 10**12))
def test_the_ends_are_the_declared_ones_and_a_longer_horizon_keeps_the_shape(schedule, horizon, times, step):
    assert schedule.lr(0, horizon) == schedule.start_lr
    assert schedule.lr(horizon - 1, horizon) == schedule.lr_at(7) == schedule.end_lr
    assert schedule.lr(0, 1) == schedule.start_lr
    horizon, step = horizon % 2000 + 2, step % 2000
    stretched = (horizon - 1) * times + 1
    assert schedule.lr(min(step, horizon - 1) * times, stretched) == schedule.lr(step, horizon)


@many
@given(schedule=compositions())
def test_a_composition_comes_back_from_json_unchanged_and_follows_its_schema(schedule):
    text = json.dumps(schedule.to_dict(), allow_nan=False)
    again = schedule_from_dict(json.loads(text))
    assert again == schedule
    assert json.dumps(again.to_dict()) == text
    jsonschema.Draft202012Validator(family_json_schema(type(schedule))).validate(json.loads(text))
    jsonschema.Draft202012Validator(schedule_json_schema()).validate(json.loads(text))


@settings(max_examples=100)
@given(schedule=compositions(), horizon=st.integers(1, 10**12), steps=st.sets(st.integers(0, 10**12), max_size=20))
def test_the_exported_rates_are_the_compositions_to_the_last_bit(schedule, horizon, steps):
    names: dict = {}
    exec(compile(torch_code(schedule, horizon), "exported", "exec"), names)
    for step in {0, 1, horizon // 2, horizon - 1, horizon, *steps}:
        assert names["lr_at"](step) == schedule.lr(step, horizon)
        if schedule.momentum_levels is not None:
            assert names["momentum_at"](step) == schedule.momentum(step, horizon)


@many
@given(schedule=compositions(), horizon=st.integers(1, 300))
def test_a_composition_as_arrays_is_its_curve(schedule, horizon):
    curve, arrays = schedule.curve(horizon), schedule.curve_array(horizon)
    assert arrays.lr == pytest.approx(np.array(curve.lr), rel=1e-9, abs=1e-12 * schedule.max_lr)
    assert (arrays.momentum is None) == (curve.momentum is None)
    if curve.momentum is not None:
        assert arrays.momentum == pytest.approx(np.array(curve.momentum), rel=1e-9)


def test_joined_schedules_are_optaxs():
    theirs = optax.join_schedules(
        [optax.linear_schedule(0.1, 0.01, 40), optax.cosine_decay_schedule(0.5, 60, alpha=0.02)], boundaries=[40]
    )
    ours = Joined(parts=(Linear(start_lr=0.1, end_lr=0.01), Cosine(start_lr=0.5, end_lr=0.01)), at=(0.4,))
    assert ours.curve(101).lr == pytest.approx([float(theirs(step)) for step in range(101)], rel=1e-5)


def test_a_composition_trains_in_torch_with_its_rates_and_momenta():
    cycle = OneCycle(start_lr=0.1, peak_lr=1.0, end_lr=0.0, base_momentum=0.85, max_momentum=0.95)
    schedule = Joined(parts=(cycle, Scaled(schedule=cycle, factor=0.5)), at=(0.5,))
    names: dict = {}
    exec(compile(torch_code(schedule, 60), "exported", "exec"), names)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=7.0, momentum=0.5)
    scheduler = names["LehrLR"](optimizer)
    group = optimizer.param_groups[0]
    for step in range(60):
        assert (group["lr"], group["momentum"]) == (schedule.lr(step, 60), schedule.momentum(step, 60))
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("shape", ["linear", "cosine", "exponential"])
@given(fraction=st.floats(0.01, 0.9), progress=st.floats(0, 1))
def test_a_warm_up_before_anything_is_the_families_own_warm_up(shape, fraction, progress):
    start = 0.01 if shape == "exponential" else 0.0
    own = Cosine(start_lr=start, peak_lr=1.0, end_lr=0.1, warmup_fraction=fraction, warmup_shape=shape)
    composed = warmed_up(Cosine(start_lr=1.0, end_lr=0.1), fraction, start, shape)
    assert composed.lr_at(progress) == pytest.approx(own.lr_at(progress), rel=1e-9, abs=1e-12)


@given(done=st.integers(1, 98), new=st.integers(3, 1000))
def test_a_run_goes_on_over_another_horizon_without_a_jump(done, new):
    schedule = Cosine(start_lr=1.0, peak_lr=2.0, end_lr=0.1, warmup_fraction=0.2)
    if done > new - 2:
        with pytest.raises(InvalidValueError, match="done_steps"):
            change_of_horizon(schedule, done, 100, new)
        return
    changed = change_of_horizon(schedule, done, 100, new)
    for step in range(done + 1):
        assert changed.lr(step, new) == pytest.approx(schedule.lr(step, 100), rel=1e-9)
    assert changed.lr(new - 1, new) == 0.1


def nested(times):
    document = LINE_DOCUMENT
    for _ in range(times):
        document = {"family": "scaled", "schedule": document, "factor": 1.0}
    return document


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        ({"family": "joined"}, ["parts", "at"]),
        ({"family": "joined", "parts": [], "at": [0.5]}, ["parts"]),
        ({"family": "joined", "parts": [LINE_DOCUMENT], "at": [0.5]}, ["parts"]),
        ({"family": "joined", "parts": LINE_DOCUMENT, "at": [0.5]}, ["parts"]),
        ({"family": "joined", "parts": "linear", "at": [0.5]}, ["parts"]),
        ({"family": "joined", "parts": [LINE_DOCUMENT] * 2, "at": [0.5, 0.7]}, ["at"]),
        ({"family": "joined", "parts": [LINE_DOCUMENT] * 3, "at": [0.7, 0.5]}, ["at"]),
        ({"family": "joined", "parts": [LINE_DOCUMENT] * 2, "at": [1.0]}, ["at[0]"]),
        (
            {"family": "joined", "parts": [LINE_DOCUMENT, {**LINE_DOCUMENT, "end_lr": 2}], "at": [0.5]},
            ["parts[1].end_lr"],
        ),
        (
            {"family": "joined", "parts": [{"family": "liner"}, {**LINE_DOCUMENT, "x": 1}], "at": [0.5]},
            ["parts[0].family", "parts[1].x"],
        ),
        (
            {
                "family": "joined",
                "parts": [{"family": "plateau", "start_lr": 1.0, "end_lr": 0.0}, LINE_DOCUMENT],
                "at": [0.5],
            },
            ["parts[0]"],
        ),
        ({"family": "joined", "parts": [LINE_DOCUMENT] * 21, "at": [k / 21 for k in range(1, 21)]}, ["parts"]),
        ({"family": "clipped", "schedule": LINE_DOCUMENT}, ["low"]),
        ({"family": "clipped", "schedule": LINE_DOCUMENT, "low": 0.5, "high": 0.25}, ["low"]),
        ({"family": "clipped", "schedule": None, "low": 0.5}, ["schedule"]),
        ({"family": "clipped", "schedule": [LINE_DOCUMENT], "low": 0.5}, ["schedule"]),
        ({"family": "scaled", "schedule": LINE_DOCUMENT}, ["factor"]),
        ({"family": "scaled", "schedule": LINE_DOCUMENT, "factor": 0}, ["factor"]),
        ({"family": "scaled", "schedule": {**LINE_DOCUMENT, "start_lr": 1e200}, "factor": 1e200}, ["factor"]),
        ({"family": "scaled", "schedule": LINE_DOCUMENT, "factor": 2, "start_lr": 1.0}, ["start_lr"]),
        ({"family": "stretched", "schedule": LINE_DOCUMENT, "begin": 0.5, "end": 0.5}, ["begin"]),
        ({"family": "stretched", "schedule": LINE_DOCUMENT, "begin": -0.5, "end": 1.5}, ["begin", "end"]),
        (nested(8), ["schedule." * 7 + "family"]),
        (nested(5000), ["schedule." * 7 + "family"]),
    ],
)
def test_a_wrong_composition_names_each_wrong_field(document, fields):
    with pytest.raises(InvalidScheduleError) as refused:
        schedule_from_dict(document)
    assert [fault.field for fault in refused.value.faults] == fields
    for fault in refused.value.faults:
        assert fault.message
        assert fault.bound
        assert fault.remedy


def test_schedules_may_lie_eight_deep_and_no_deeper():
    schedule = schedule_from_dict(nested(7))
    assert schedule.lr_at(0.5) == LINE.lr_at(0.5)
    with pytest.raises(InvalidScheduleError, match="too deep"):
        Scaled(schedule=schedule, factor=1.0)


def test_parts_must_be_closed_form_schedules_that_all_cycle_momentum_or_none():
    cycle = OneCycle(start_lr=0.1, peak_lr=1.0, end_lr=0.0, base_momentum=0.85, max_momentum=0.95)
    for parts in ((LINE, cycle), (LINE, Plateau(start_lr=1.0, end_lr=0.1)), (LINE, "linear"), "ab", (LINE,)):
        with pytest.raises(InvalidScheduleError, match="parts"):
            Joined(parts=parts, at=(0.5,))
    with pytest.raises(InvalidScheduleError, match="schedule"):
        Scaled(schedule=LINE_DOCUMENT, factor=1.0)
    assert Joined(parts=[LINE, LINE], at=[0.5]) == Joined(parts=(LINE, LINE), at=(0.5,))


def test_no_search_draws_a_composition():
    for name in COMPOSITIONS:
        with pytest.raises(InvalidSpaceError, match="is not a family"):
            Space.of(families=[name])


def test_bounds_cut_and_factors_scale_what_is_inside():
    inner = Step(start_lr=1.0, end_lr=0.01, drops=2)
    assert Clipped(schedule=inner, low=0.05, high=0.5).curve(3).lr == (0.5, 0.1, 0.05)
    assert Scaled(schedule=inner, factor=10).curve(3).lr == (10.0, 1.0, 0.1)
    assert Stretched(schedule=LINE, begin=0.2, end=0.6).curve(3).lr == pytest.approx((0.85, 0.7, 0.55))
    assert Constant(start_lr=1.0, end_lr=1.0) == schedule_from_dict({"family": "constant", "start_lr": 1, "end_lr": 1})


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_every_composition_says_what_it_is(name):
    cls = COMPOSITIONS[name]
    assert cls.summary().endswith(".")
    assert cls.formula
    assert cls.source
    assert ">>> " in (cls.__doc__ or "")
    assert "First step:" in (cls.__doc__ or "")

"""Laws that every registered family satisfies; a new family is tested automatically."""

from __future__ import annotations

import itertools
import json
import math
import time

import jsonschema
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lehr.schedules import FAMILIES, family_json_schema, schedule_from_dict, schedule_json_schema
from tests.support.schedules import CLOSED_FORM, moderate, schedules

families = pytest.mark.parametrize("family", FAMILIES)
closed_form = pytest.mark.parametrize("family", CLOSED_FORM)
few = settings(max_examples=40)  # for each family
PROGRESS = st.one_of(
    st.floats(0, 1),
    st.sampled_from([5e-324, 1e-300, 1e-16, math.nextafter(1, 0), 1 - 1e-12, 0.5, 1 / 3]),
)


@closed_form
@few
@given(data=st.data(), progress=PROGRESS)
def test_every_rate_is_finite_and_between_the_declared_ones(family, data, progress):
    schedule = data.draw(schedules(family))
    rate = schedule.lr_at(progress)
    assert math.isfinite(rate)
    assert schedule.min_lr <= rate <= schedule.max_lr


@closed_form
@few
@given(data=st.data(), horizon=st.integers(2, 10**12))
def test_the_first_and_last_rates_are_exactly_the_declared_ones(family, data, horizon):
    schedule = data.draw(schedules(family))
    assert schedule.lr(0, horizon) == schedule.start_lr
    assert schedule.lr(horizon - 1, horizon) == schedule.end_lr
    assert schedule.lr(horizon + 7, horizon) == schedule.end_lr
    assert schedule.lr_at(-1) == schedule.start_lr
    assert schedule.lr_at(math.inf) == schedule.end_lr


@families
@few
@given(data=st.data())
def test_a_schedule_comes_back_from_json_unchanged(family, data):
    schedule = data.draw(schedules(family))
    text = json.dumps(schedule.to_dict(), allow_nan=False)
    assert schedule_from_dict(json.loads(text)) == schedule
    assert json.dumps(schedule_from_dict(json.loads(text)).to_dict()) == text


@families
@few
@given(data=st.data())
def test_the_json_schema_accepts_every_document_of_its_family_and_no_other_field(family, data):
    document = data.draw(schedules(family)).to_dict()
    validator = jsonschema.Draft202012Validator(family_json_schema(FAMILIES[family]))
    validator.validate(document)
    assert not validator.is_valid({**document, "surprise": 1})
    jsonschema.Draft202012Validator(schedule_json_schema()).validate(document)


@closed_form
@few
@given(data=st.data(), horizon=st.integers(2, 2000), step=st.integers(0, 2000), times=st.integers(1, 1000))
def test_a_longer_horizon_keeps_the_shape(family, data, horizon, step, times):
    schedule = data.draw(schedules(family))
    stretched = (horizon - 1) * times + 1
    assert schedule.lr(min(step, horizon - 1) * times, stretched) == schedule.lr(step, horizon)


@closed_form
@few
@given(data=st.data(), horizon=st.integers(1, 300), points=st.integers(2, 50))
def test_a_curve_is_the_rates_at_its_steps_with_the_first_and_the_last(family, data, horizon, points):
    schedule = data.draw(schedules(family))
    curve = schedule.curve(horizon, points)
    assert (curve.step[0], curve.step[-1], len(curve.step)) == (0, horizon - 1, min(horizon, points))
    gaps = {later - earlier for earlier, later in zip(curve.step, curve.step[1:], strict=False)}
    assert not gaps or max(gaps) - min(gaps) <= 1
    assert list(curve.lr) == [schedule.lr(step, horizon) for step in curve.step]
    assert (curve.momentum is None) == (schedule.momentum_levels is None)
    assert list(curve.momentum or ()) == [
        schedule.momentum(step, horizon) for step in curve.step if schedule.momentum_levels is not None
    ]


@closed_form
@few
@given(data=st.data(), horizon=st.integers(1, 300), points=st.none() | st.integers(1, 50))
def test_a_curve_as_arrays_is_the_curve(family, data, horizon, points):
    schedule = data.draw(schedules(family))
    curve, arrays = schedule.curve(horizon, points), schedule.curve_array(horizon, points)
    assert list(arrays.step) == list(curve.step)
    # numpy's powers and cosines may differ from the C library's in the last digit.
    assert arrays.lr == pytest.approx(np.array(curve.lr), rel=1e-9, abs=1e-12 * schedule.max_lr)
    assert (arrays.momentum is None) == (curve.momentum is None)
    if curve.momentum is not None:
        assert arrays.momentum == pytest.approx(np.array(curve.momentum), rel=1e-9)


@closed_form
@few
@given(data=st.data())
def test_a_preview_of_a_million_steps_takes_less_than_50_milliseconds(family, data):
    schedule = data.draw(schedules(family))
    taken = []
    for _ in range(3):
        begin = time.process_time()
        schedule.curve(1_000_000, 500)
        taken.append(time.process_time() - begin)
    assert min(taken) < 0.05


@pytest.mark.parametrize("family", [name for name in CLOSED_FORM if FAMILIES[name].continuous])
@few
@given(data=st.data(), start=st.floats(0, 1), width=st.floats(1e-3, 1))
def test_the_rate_is_continuous_where_the_family_promises_it(family, data, start, width):
    schedule = data.draw(moderate(family))
    # A third phase that begins at the last step, but for rounding, has no time to fall in, as its docstring says.
    assume(not (getattr(schedule, "phases", "two") == "three" and schedule.warmup_fraction > 0.5 - 1e-9))
    low, high = start, min(start + width, 1.0)
    # Always the half that rises or falls more: a jump would stay, however narrow the interval.
    while high - low > 1e-13:
        middle = (low + high) / 2
        left = abs(schedule.lr_at(middle) - schedule.lr_at(low))
        right = abs(schedule.lr_at(high) - schedule.lr_at(middle))
        low, high = (low, middle) if left >= right else (middle, high)
    assert abs(schedule.lr_at(high) - schedule.lr_at(low)) <= 1e-3 * schedule.max_lr


@pytest.mark.parametrize("family", [name for name in CLOSED_FORM if not FAMILIES[name].continuous])
def test_the_rate_jumps_where_the_family_admits_it(family):
    curve = FAMILIES[family](start_lr=1.0, end_lr=0.1).curve(100_001).lr
    assert max(abs(later - earlier) for earlier, later in itertools.pairwise(curve)) > 0.1


@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if family.cycles_momentum])
@given(data=st.data(), progress=st.floats(0, 1), shape=st.sampled_from(["linear", "cosine"]))
def test_momentum_mirrors_the_rate(family, data, progress, shape):
    drawn = data.draw(schedules(family)).to_dict()
    rates = {"start_lr": 0.0, "peak_lr": 2.0, "end_lr": 0.0}
    momenta = {"base_momentum": 0.5, "max_momentum": 0.9}
    schedule = schedule_from_dict({**drawn, **rates, **momenta, "warmup_shape": shape})
    height = schedule.lr_at(progress) / 2.0
    assert schedule.momentum_at(progress) == pytest.approx(0.9 - 0.4 * height, abs=1e-12)


@families
def test_every_family_says_what_it_is(family):
    cls = FAMILIES[family]
    assert cls.family == family
    assert cls.summary().endswith(".")
    assert cls.formula
    assert cls.source
    assert ">>> " in (cls.__doc__ or "")
    assert "First step:" in (cls.__doc__ or "")
    assert "beyond" in (cls.__doc__ or "")


@pytest.mark.parametrize("family", ["step", "cosine_restarts"])
@given(horizon=st.integers(20, 3000), warmup=st.integers(0, 15), jumps=st.integers(1, 5))
def test_a_jump_comes_at_its_own_step_whatever_the_warm_up(family, horizon, warmup, jumps):
    last, pieces = (horizon - 1) // (jumps + 1) * (jumps + 1) + warmup, jumps + 1
    document = {"family": family, "start_lr": 1.0, "end_lr": 0.01, "warmup_fraction": warmup / last}
    document |= {"peak_lr": 1.0} if warmup else {}
    document |= {"drops": jumps} if family == "step" else {"cycles": pieces}
    schedule = schedule_from_dict(document)
    for jump in range(1, pieces):
        at = warmup + (last - warmup) // pieces * jump
        before, after = schedule.lr(at - 1, last + 1), schedule.lr(at, last + 1)
        assert after == pytest.approx(0.01 ** (jump / jumps) if family == "step" else 1.0)
        assert before == pytest.approx(0.01 ** ((jump - 1) / jumps)) if family == "step" else before < after

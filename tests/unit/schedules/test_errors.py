"""Invalid input gets named errors with the bound, the value and the remedy."""

from __future__ import annotations

import math
import sys

import pytest

from lehr.errors import InvalidScheduleError, InvalidValueError
from lehr.schedules import FAMILIES, Cosine, schedule_from_dict

COSINE = {"family": "cosine", "start_lr": 0.1, "end_lr": 0.001}
ONE_CYCLE = {"family": "one_cycle", "start_lr": 0.01, "peak_lr": 0.1, "end_lr": 0.001}


def faults_of(document):
    with pytest.raises(InvalidScheduleError) as refused:
        schedule_from_dict(document)
    for fault in refused.value.faults:
        assert fault.message
        assert fault.bound
        assert fault.remedy
    return refused.value.faults


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        ({**COSINE, "start_lr": -0.1}, ["start_lr"]),
        ({**COSINE, "start_lr": True}, ["start_lr"]),
        ({**COSINE, "start_lr": "0.1"}, ["start_lr"]),
        ({**COSINE, "start_lr": None}, ["start_lr"]),
        ({**COSINE, "start_lr": [0.1]}, ["start_lr"]),
        ({**COSINE, "start_lr": math.nan, "end_lr": math.inf}, ["start_lr", "end_lr"]),
        ({**COSINE, "start_lr": 10**400}, ["start_lr"]),
        ({**COSINE, "start_lr": 0}, ["start_lr", "end_lr"]),
        ({**COSINE, "end_lr": 0.2}, ["end_lr"]),
        ({**COSINE, "peak_lr": 0.2}, ["peak_lr"]),
        ({**COSINE, "warmup_fraction": 0.1}, ["peak_lr"]),
        ({**COSINE, "warmup_fraction": 1.0, "peak_lr": 1.0}, ["warmup_fraction"]),
        ({**COSINE, "warmup_fraction": 0.1, "peak_lr": 0.05}, ["peak_lr"]),
        ({**COSINE, "warmup_fraction": 0.1, "peak_lr": 0.2, "warmup_shape": "steep"}, ["warmup_shape"]),
        (
            {**COSINE, "start_lr": 0, "warmup_fraction": 0.1, "peak_lr": 0.2, "warmup_shape": "exponential"},
            ["start_lr"],
        ),
        ({**COSINE, "power": 2, "surprise": 1}, ["power", "surprise"]),
        ({"family": "cosine"}, ["start_lr", "end_lr"]),
        ({**COSINE, "family": "constant"}, ["end_lr"]),
        ({**COSINE, "family": "exponential", "end_lr": 0}, ["end_lr"]),
        ({**COSINE, "family": "step", "end_lr": 0, "drops": 2.0}, ["end_lr", "drops"]),
        ({**COSINE, "family": "step", "drops": 0}, ["drops"]),
        ({**COSINE, "family": "multistep", "milestones": [0.5, 0.5]}, ["milestones"]),
        ({**COSINE, "family": "multistep", "milestones": [0.5, 1.0]}, ["milestones[1]"]),
        ({**COSINE, "family": "multistep", "milestones": []}, ["milestones"]),
        ({**COSINE, "family": "multistep", "milestones": "0.5"}, ["milestones"]),
        (
            {**COSINE, "family": "multistep", "milestones": [0.1, 0.5], "warmup_fraction": 0.1, "peak_lr": 0.2},
            ["milestones"],
        ),
        ({**COSINE, "family": "polynomial", "power": 0}, ["power"]),
        (
            {**COSINE, "family": "cosine_restarts", "cycle_growth": 0.5, "cycle_decay": 1.5},
            ["cycle_growth", "cycle_decay"],
        ),
        (
            {**COSINE, "family": "wsd", "cooldown_fraction": 0.8, "warmup_fraction": 0.3, "peak_lr": 0.2},
            ["cooldown_fraction"],
        ),
        ({**COSINE, "family": "wsd", "cooldown": "exponential", "end_lr": 0}, ["end_lr"]),
        ({**COSINE, "family": "inverse_time", "end_lr": 0}, ["end_lr"]),
        ({**COSINE, "family": "inverse_sqrt", "end_lr": 0, "timescale": 0}, ["timescale"]),
        ({**COSINE, "family": "knee", "hold_fraction": 1.0}, ["hold_fraction"]),
        (
            {**COSINE, "family": "power", "hold_fraction": 0.8, "warmup_fraction": 0.2, "peak_lr": 0.2, "power": -1},
            ["power"],
        ),
        (
            {**COSINE, "family": "power", "hold_fraction": 0.8, "warmup_fraction": 0.3, "peak_lr": 0.2},
            ["hold_fraction"],
        ),
        ({**COSINE, "family": "flat_cosine", "hold_fraction": -0.1}, ["hold_fraction"]),
        ({**COSINE, "family": "k_decay", "k": 0, "curve_shape": "square"}, ["k", "curve_shape"]),
        ({**COSINE, "family": "tanh", "lower": 1.0, "upper": 0.0}, ["lower", "upper"]),
        ({**COSINE, "family": "piecewise", "knots": [0.5]}, ["rates"]),
        ({**COSINE, "family": "piecewise", "knots": [0.5, 0.2], "rates": [1, 2]}, ["knots"]),
        ({**COSINE, "family": "piecewise", "knots": [0.5], "rates": [-1]}, ["rates[0]"]),
        (
            {**COSINE, "family": "piecewise", "knots": [0.1], "rates": [1], "warmup_fraction": 0.2, "peak_lr": 1.0},
            ["knots"],
        ),
        ({**COSINE, "family": "piecewise", "knots": [0.5], "rates": [0.0], "start_lr": 0, "end_lr": 0}, ["start_lr"]),
        ({**COSINE, "family": "plateau", "factor": 1.0, "patience": -1}, ["factor", "patience"]),
        ({**ONE_CYCLE, "phases": "three", "warmup_fraction": 0.6}, ["phases"]),
        ({**ONE_CYCLE, "family": "exp_range", "swing_decay": 0}, ["swing_decay"]),
        ({**ONE_CYCLE, "family": "triangular2", "cycles": 0}, ["cycles"]),
        ({**ONE_CYCLE, "peak_lr": None}, ["peak_lr"]),
        ({**ONE_CYCLE, "warmup_fraction": 0}, ["warmup_fraction"]),
        ({**ONE_CYCLE, "base_momentum": 0.9}, ["max_momentum"]),
        ({**ONE_CYCLE, "base_momentum": 0.95, "max_momentum": 0.85}, ["base_momentum"]),
        ({**ONE_CYCLE, "base_momentum": 1.0, "max_momentum": 1.0}, ["base_momentum", "max_momentum"]),
    ],
)
def test_a_wrong_document_names_each_wrong_field(document, fields):
    assert [fault.field for fault in faults_of(document)] == fields


def test_an_unknown_family_names_the_nearest_and_lists_all():
    (fault,) = faults_of({**COSINE, "family": "cosin"})
    assert fault.field == "family"
    assert "cosine" in fault.remedy
    assert all(family in fault.bound for family in FAMILIES)


@pytest.mark.parametrize("family", [None, 3, [], {}, "", "COSINE\x00"])
def test_a_family_that_is_no_name_is_refused(family):
    assert [fault.field for fault in faults_of({**COSINE, "family": family})] == ["family"]


@pytest.mark.parametrize("document", [None, 3, "cosine", [], {}])
def test_what_is_no_schedule_document_is_refused(document):
    assert faults_of(document)


def test_an_unknown_field_names_the_nearest():
    (fault,) = faults_of({**COSINE, "warmup_fracton": 0.1})
    assert "warmup_fraction" in fault.remedy


def test_the_fault_of_an_end_above_its_start_tells_bound_and_value():
    (fault,) = faults_of({**COSINE, "end_lr": 0.2})
    assert (fault.bound, fault.value) == ("<= 0.1", 0.2)


@pytest.mark.parametrize(
    ("step", "horizon", "field"),
    [(0, 0, "horizon"), (0, -1, "horizon"), (0, 10**12 + 1, "horizon"), (0, 1.0, "horizon"), (0, True, "horizon"),
     (-1, 10, "step"), (0.5, 10, "step")],
)  # fmt: skip
def test_a_step_outside_all_horizons_is_refused(step, horizon, field):
    with pytest.raises(InvalidValueError) as refused:
        Cosine(start_lr=0.1, end_lr=0.0).lr(step, horizon)
    assert [fault.field for fault in refused.value.faults] == [field]


def test_a_billion_rates_at_once_are_refused_with_the_remedy():
    schedule = Cosine(start_lr=0.1, end_lr=0.0)
    with pytest.raises(InvalidValueError, match="max_points"):
        schedule.curve(10**9)
    assert len(schedule.curve(10**12, 5).lr) == 5


def test_a_curve_of_arrays_refuses_what_a_curve_refuses_and_says_what_it_needs(monkeypatch):
    schedule = Cosine(start_lr=0.1, end_lr=0.0)
    for wrong in ({"horizon": 10**9}, {"horizon": 0}, {"horizon": 5, "max_points": 0}):
        with pytest.raises(InvalidValueError):
            schedule.curve_array(**wrong)
    assert len(schedule.curve_array(10**12, 5).lr) == 5
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs numpy: .*curve"):
        schedule.curve_array(10)


@pytest.mark.parametrize("points", [0, -1, 2.5, True])
def test_a_curve_needs_at_least_one_point(points):
    with pytest.raises(InvalidValueError, match="max_points"):
        Cosine(start_lr=0.1, end_lr=0.0).curve(10, points)


def test_progress_that_is_no_number_is_refused():
    with pytest.raises(InvalidValueError, match="progress"):
        Cosine(start_lr=0.1, end_lr=0.0).lr_at(math.nan)


def test_a_horizon_of_one_step_has_the_first_rate():
    schedule = Cosine(start_lr=0.1, end_lr=0.0)
    assert schedule.curve(1).lr == (0.1,)
    assert schedule.lr(5, 1) == 0.1

"""Settings that are legal but unwise cause warnings."""

from __future__ import annotations

from typing import Any

import pytest

from lehr.schedules import Constant, Cosine
from lehr.wire.ranges import RangeSpec
from lehr.wire.search_methods import SAMPLERS
from lehr.wire.studies import SpaceSpec, StudySpec
from service.answer.warnings import warnings_after, warnings_before


def spec(**changes: Any) -> StudySpec:
    document: dict[str, Any] = {
        "name": "s",
        "task": {"name": "digits"},
        "space": {"families": ["constant", "cosine"]},
        "objective": {"metric": "loss", "direction": "minimize"},
        "budget": {"trials": 60},
    }
    return StudySpec.model_validate(document | changes)


def codes(study: StudySpec) -> dict[str, str | None]:
    return {warning.code: warning.field for warning in warnings_before(study)}


def test_a_reasonable_study_is_not_warned_about() -> None:
    assert codes(spec()) == {}


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"budget": {"trials": 19, "parallel": 1}}, "few_trials_per_family", "budget.trials"),
        ({"budget": {"trials": 1, "parallel": 1}}, "families_untried", "budget.trials"),
        ({"space": {"families": ["cosine"]}}, "constant_added", "space.families"),
        ({"space": {"start_lr": {"low": 0.1, "high": 0.1}}}, "single_value", "space.start_lr"),
        ({"budget": {"trials": 60, "parallel": 61}}, "parallel_above_trials", "budget.parallel"),
        ({"budget": {"trials": 60, "parallel": 40}}, "parallel_high", "budget.parallel"),
        ({"budget": {"trials": 2, "parallel": 1}}, "mostly_startup", "budget.trials"),
        ({"confirm": None}, "not_confirmed", "confirm"),
    ],
)
def test_what_is_unwise_is_warned_about(changes: dict[str, Any], code: str, field: str) -> None:
    assert codes(spec(**changes))[code] == field


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_that_learns_warns_of_a_budget_that_is_mostly_start_up(sampler: str) -> None:
    found = codes(spec(budget={"trials": 2, "parallel": 1}, sampler={"name": sampler}))
    assert ("mostly_startup" in found) == (sampler in ("tpe", "surrogate", "gp", "cmaes"))
    parallel = codes(spec(budget={"trials": 60, "parallel": 40}, sampler={"name": sampler}))
    assert ("parallel_high" in parallel) == (sampler in ("tpe", "surrogate", "gp", "cmaes"))


def test_no_more_trials_run_at_once_than_there_are() -> None:
    """The default of `parallel` is above the smallest budgets."""
    few = spec(budget={"trials": 4}, space={"families": ["constant"]}, sampler={"name": "gp"})
    (message,) = [one.message for one in warnings_before(few) if one.code == "parallel_high"]
    assert message.startswith("with 4 of 4 trials running at once")


def test_the_bound_to_widen_is_named() -> None:
    space = SpaceSpec(start_lr=RangeSpec(low=1e-4, high=1.0), end_lr=RangeSpec(low=1e-6, high=1e-1))
    found = warnings_after(space, Cosine(start_lr=0.95, end_lr=1.05e-6))
    assert [one.field for one in found] == ["space.start_lr.high", "space.end_lr.low"]
    assert "raise space.start_lr.high" in found[0].message
    assert warnings_after(space, Cosine(start_lr=0.1, end_lr=1e-4)) == []


def test_nearness_to_a_bound_is_measured_on_the_log_axis() -> None:
    space = SpaceSpec(start_lr=RangeSpec(low=1e-4, high=1.0))
    near, far = 1e-4 * 10 ** (4 * 0.019), 1e-4 * 10 ** (4 * 0.021)
    assert [one.field for one in warnings_after(space, Constant(start_lr=near, end_lr=near))] == ["space.start_lr.low"]
    assert warnings_after(space, Constant(start_lr=far, end_lr=far)) == []


def test_a_constant_rate_is_not_told_about_the_end() -> None:
    space = SpaceSpec(start_lr=RangeSpec(low=1e-4, high=1.0), end_lr=RangeSpec(low=1e-6, high=1e-2))
    assert warnings_after(space, Constant(start_lr=1e-2, end_lr=1e-2)) == []


def test_a_peak_on_the_bound_of_its_own_range_names_that_range() -> None:
    space = SpaceSpec(peak_lr=RangeSpec(low=1e-3, high=0.5), warmup_fraction=RangeSpec(low=0.0, high=0.2))
    best = Cosine(start_lr=1e-2, peak_lr=0.5, end_lr=1e-3, warmup_fraction=0.2)
    fields = [one.field for one in warnings_after(space, best)]
    assert fields == ["space.peak_lr.high", "space.warmup_fraction.high"]


def test_a_range_of_one_value_has_no_bound_to_widen() -> None:
    space = SpaceSpec(start_lr=RangeSpec(low=0.1, high=0.1))
    assert warnings_after(space, Constant(start_lr=0.1, end_lr=0.1)) == []

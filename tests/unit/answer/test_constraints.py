"""Violations of constraints agree with Optuna's definition."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lehr.schedules import Constant, Cosine
from lehr.space import Space
from lehr.wire.objectives import Constraint
from service.answer.constraints import standings, steps_until, violation
from service.answer.feasibility import candidates
from service.answer.finalists import SearchTrial, best_first
from service.answer.plan import Plan, Violations

SPACE = Space.of()
COST = Constraint(metric="cost", at_most=2.0)
SCORE = Constraint(metric="score", at_least=0.5)
BETWEEN = Constraint(metric="cost", at_least=1.0, at_most=2.0)


@pytest.mark.parametrize(
    ("measured", "expected"),
    [({"cost": 2.0}, 0.0), ({"cost": 1.0}, 0.0), ({"cost": 1.5}, -0.25), ({"cost": 3.0}, 0.5), ({"cost": 0.25}, 0.75)],
)
def test_a_violation_is_how_far_beyond_its_bound_a_metric_lies(measured: dict[str, Any], expected: float) -> None:
    assert violation([BETWEEN], measured) == pytest.approx(expected)


def test_the_constraint_that_is_worst_off_counts_and_an_unknown_metric_is_worst_of_all() -> None:
    assert violation([COST, SCORE], {"cost": 1.0, "score": 0.25}) == pytest.approx(0.5)
    assert violation([COST, SCORE], {"cost": 1.0}) == violation([COST, SCORE], {"cost": 1.0, "score": None})
    assert (violation([COST, SCORE], {"cost": 1.0}) or 0) > 1e8
    assert violation([], {"cost": 1.0}) is None


@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(-10, 10)), min_size=1, max_size=30))
def test_the_order_is_that_of_optunas_best_trial_under_constraints(told: list[tuple[float, float]]) -> None:
    trials = [
        SearchTrial(number, Constant(start_lr=0.1, end_lr=0.1), "COMPLETED", value, violation=broken)
        for number, (broken, value) in enumerate(told)
    ]
    study = optuna.create_study(direction="maximize")
    for broken, value in told:
        study.add_trial(optuna.trial.create_trial(value=value, constraints={"only": broken}))
    first = best_first(trials, "maximize")[0]
    if any(broken <= 0 for broken, _ in told):
        assert first.value == study.best_value
    else:
        assert first.violation == min(broken for broken, _ in told)


def test_steps_are_counted_to_the_first_report_at_which_all_constraints_hold_at_once() -> None:
    reports = [
        (9, {"cost": 1.0, "score": 0.4}),
        (19, {"cost": 3.0, "score": 0.9}),
        (29, {"cost": 2.0, "score": 0.5}),
        (39, {"cost": 1.0, "score": 0.9}),
    ]
    steps, measured = steps_until([COST, SCORE], reports)
    assert (steps, measured) == (30, {"cost": 1.0, "score": 0.9})
    assert steps_until([COST, SCORE], reports[:2]) == (None, {"cost": 1.0, "score": 0.4})
    assert steps_until([COST, SCORE], []) == (None, {"cost": None, "score": None})


def test_a_standing_tells_the_mean_and_how_many_runs_break_it_alone() -> None:
    (standing,) = standings([COST], [{"cost": 1.0}, {"cost": 2.5}, {"cost": 2.2}])
    assert (standing.satisfied, standing.runs, standing.broken) == (True, 3, 2)
    assert standing.mean == pytest.approx(1.9)
    (unknown,) = standings([COST], [{"cost": 1.0}, {"cost": None}])
    assert (unknown.satisfied, unknown.mean, unknown.broken) == (False, None, 1)


def trial(number: int, rate: float, value: float, broken: float) -> SearchTrial:
    return SearchTrial(number, Cosine(start_lr=rate, end_lr=0.0), "COMPLETED", value, violation=broken)


def test_what_kept_to_a_constraint_by_luck_is_left_out_where_enough_others_did() -> None:
    """The violation rises with the rate, and one high rate was lucky."""
    rates = [10 ** (-3 + at / 10) for at in range(30)]
    trials = [trial(at, rate, rate, -0.2 + 0.02 * at) for at, rate in enumerate(rates)]
    lucky = trial(99, rates[25] * 1.01, 9.0, -0.01)
    chosen, none_feasible = candidates([*trials, lucky], 2)
    assert not none_feasible
    assert {one.number for one in chosen} >= {0, 1, 2, 3, 4, 5}
    assert lucky not in chosen


def test_without_anything_that_keeps_to_them_the_nearest_are_chosen() -> None:
    trials = [trial(at, 0.1 + at, float(at), 1.0 - 0.1 * at) for at in range(5)]
    plan = Plan.of(trials, "maximize", SPACE, top=2, seeds=2, search_seed=0, with_constant=False, constrained=True)
    assert plan.none_feasible
    assert plan.racing == (4, 3)


def test_an_answer_that_its_measuring_refutes_makes_room_for_the_next_and_the_nearest_stands_in_the_end() -> None:
    trials = [trial(at, 0.1 + at, float(at), -0.1) for at in range(3)]
    plan = Plan.of(trials, "maximize", SPACE, top=3, seeds=2, search_seed=0, with_constant=False, constrained=True)
    most, spent = plan.runs_to_come, 0
    losses: dict[int, dict[int, float]] = {}
    broken = {0: 0.1, 1: 0.3, 2: 0.2}
    measured: dict[int, float] = {}
    for _ in range(20):
        plan, runs = plan.next(losses, violations=Violations({}, measured))
        if not runs:
            break
        spent += len(runs)
        for run in runs:
            losses.setdefault(run.number, {})[run.seed] = -float(run.number)
            if run.seed in plan.final_seeds:
                measured[run.number] = broken[run.number]
    assert set(plan.refuted) == {0, 1, 2}
    assert plan.answer == 0
    assert spent <= most


def test_a_plan_that_was_stored_under_the_fields_first_name_is_read() -> None:
    trials = [trial(at, 0.1 + at, float(at), 1.0) for at in range(2)]
    plan = Plan.of(trials, "maximize", SPACE, top=2, seeds=2, search_seed=0, with_constant=False, constrained=True)
    stored = plan.to_json()
    stored["nothing_kept"] = stored.pop("none_feasible")
    assert Plan.from_json(stored) == plan
    assert plan.none_feasible

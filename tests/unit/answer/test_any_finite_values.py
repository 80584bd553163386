"""For any finite values of trainings, the answer has finite numbers or says that a value is unknown."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from fractions import Fraction
from statistics import mean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lehr.schedules import Constant, Cosine, Linear, Schedule
from lehr.space import Range, Space
from lehr.wire.objectives import Confirmation, Constraint
from lehr.wire.studies import Direction
from lehr.wire.trials import TrialState
from service.answer.constraints import UNKNOWN, standings, steps_until, violation
from service.answer.convergence import convergence
from service.answer.finalists import SearchTrial
from service.answer.landscape import Landscape
from service.answer.leaderboard import best_of, leaderboard
from service.answer.plan import Plan
from service.answer.race import places, simplest
from service.answer.sensitivity import Sensitivity
from service.answer.statistics import mean_of, paired_gain, summarise

EDGES = [0.0, 5e-324, 1e-308, 1e-170, 1e-5, 1.0, 1e100, 1e154, 1e155, 1e160, 8e307, 1e308, sys.float_info.max]
VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([*EDGES, *(-edge for edge in EDGES)])
)
DIRECTIONS: st.SearchStrategy[Direction] = st.sampled_from(["minimize", "maximize"])
STATES: st.SearchStrategy[TrialState] = st.sampled_from(["COMPLETED", "COMPLETED", "DIVERGED", "PRUNED"])
SPACE = Space.of(families=["constant", "cosine", "linear"], start_lr=Range(1e-4, 1.0), end_lr=Range(1e-6, 1e-2))


def schedule(number: int) -> Schedule:
    family = (Constant, Cosine, Linear)[number % 3]
    rate = 1e-3 * 1.3**number
    return family(start_lr=rate, end_lr=rate if family is Constant else rate / 100)


@st.composite
def searches(draw: st.DrawFn, least: int = 0, most: int = 30) -> list[SearchTrial]:
    ends = draw(st.lists(st.tuples(STATES, VALUES), min_size=least, max_size=most))
    return [
        SearchTrial(number, schedule(number), state, value if state == "COMPLETED" else None)
        for number, (state, value) in enumerate(ends)
    ]


def assert_finite(numbers: Iterable[float | None]) -> None:
    assert all(number is None or math.isfinite(number) for number in numbers)


@given(st.lists(VALUES, min_size=1, max_size=20))
def test_a_mean_lies_where_exact_arithmetic_says(values: list[float]) -> None:
    exact = mean(Fraction(value) for value in values)
    largest = Fraction(max(map(abs, values)))
    assert abs(Fraction(mean_of(values)) - exact) <= largest / 2**50 + Fraction(5e-324)


@given(st.lists(VALUES, min_size=1, max_size=8), st.lists(VALUES, min_size=1, max_size=8), DIRECTIONS)
def test_means_and_gains_have_finite_intervals_or_none(
    values: list[float], others: list[float], direction: Direction
) -> None:
    summary = summarise(values)
    assert summary is not None
    assert_finite([summary.mean, summary.std, *(summary.ci95 or ())])
    gain = paired_gain(dict(enumerate(values)), dict(enumerate(others)), direction)
    assert gain is not None
    assert_finite([gain.mean, *(gain.ci95 or ())])


@given(st.lists(st.lists(VALUES, min_size=1, max_size=5), min_size=1, max_size=6))
def test_a_race_of_any_losses_has_a_leader_and_finite_gaps(losses: list[list[float]]) -> None:
    order = places({racer: dict(enumerate(values)) for racer, values in enumerate(losses)})
    assert sorted(place.racer for place in order) == list(range(len(losses)))
    assert_finite(number for place in order for number in (place.mean, place.gap, place.error))
    assert order[0].gap == 0
    assert simplest(order, dict.fromkeys(range(len(losses)), (1.0,))) in range(len(losses))


@given(
    st.lists(st.lists(st.floats(0.1, 10), min_size=3, max_size=3), min_size=2, max_size=6),
    st.sampled_from([-900, -200, 200, 900]),
)
def test_a_race_is_the_same_in_any_unit(losses: list[list[float]], exponent: int) -> None:
    usual = places({racer: dict(enumerate(values)) for racer, values in enumerate(losses)})
    scaled = places(
        {racer: {at: math.ldexp(one, exponent) for at, one in enumerate(row)} for racer, row in enumerate(losses)}
    )
    assert [(place.racer, place.tied) for place in scaled] == [(place.racer, place.tied) for place in usual]
    for one, other in zip(scaled, usual, strict=True):
        assert one.gap == pytest.approx(math.ldexp(other.gap, exponent), rel=1e-6)


@given(searches(), DIRECTIONS, st.integers(1, 6))
def test_finalists_and_a_baseline_are_chosen_of_any_search(
    trials: list[SearchTrial], direction: Direction, top: int
) -> None:
    found = Landscape.of(trials, direction)
    assert_finite(found.estimates().values())
    finalists = [trial.number for trial in found.finalists(top)]
    completed = [trial for trial in trials if trial.state == "COMPLETED"]
    assert len(set(finalists)) == len(finalists) == min(top, len(completed))
    assert (found.baseline() is None) == (not any(trial.schedule.family == "constant" for trial in completed))


@given(searches(least=8), DIRECTIONS)
def test_what_a_wrong_rate_costs_is_a_finite_number_or_not_known(
    trials: list[SearchTrial], direction: Direction
) -> None:
    sensitivity = Sensitivity.of(trials, direction)
    costs = [sensitivity.at(trial.schedule) for trial in trials]
    assert_finite(costs)
    assert all(cost is None or cost >= 0 for cost in costs)


@given(st.lists(st.one_of(VALUES, st.just(math.inf)), min_size=20, max_size=40))
def test_a_search_has_converged_by_finite_numbers_or_is_not_known_to(losses: list[float]) -> None:
    found = convergence([schedule(number) for number in range(len(losses))], losses, SPACE)
    if found is not None:
        assert_finite([found.expected_improvement, found.noise, found.regret_bound])


@given(st.lists(VALUES, min_size=1, max_size=30), st.data())
def test_the_best_of_some_lies_among_them(losses: list[float], data: st.DataObject) -> None:
    mean, low, high = best_of(losses, data.draw(st.integers(1, len(losses))))
    assert min(losses) <= min(mean, low, high)
    assert max(mean, low, high) <= max(losses)


@given(searches(), DIRECTIONS)
def test_a_leaderboard_of_any_search_is_a_document(trials: list[SearchTrial], direction: Direction) -> None:
    confirmed: dict[str, Confirmation] = {}
    entries = leaderboard(trials, SPACE.families, direction, confirmed)
    assert [entry.rank for entry in entries] == [1, 2, 3]


CONSTRAINTS = st.lists(
    st.builds(Constraint, metric=st.sampled_from("ab"), at_least=VALUES)
    | st.builds(Constraint, metric=st.sampled_from("ab"), at_most=VALUES),
    min_size=1,
    max_size=3,
)
MEASURED = st.fixed_dictionaries({"a": VALUES | st.none(), "b": VALUES | st.none()})


@given(CONSTRAINTS, st.lists(MEASURED, min_size=1, max_size=5))
def test_violations_are_bounded_and_signed(
    constraints: list[Constraint], trainings: list[dict[str, float | None]]
) -> None:
    for measured in trainings:
        found = violation(constraints, measured)
        assert found is not None
        assert abs(found) <= UNKNOWN
        assert (found > 0) == any(_is_broken(one, measured[one.metric]) for one in constraints)
    assert_finite(number for one in standings(constraints, trainings) for number in (one.mean, *(one.ci95 or ())))
    steps_until(constraints, list(enumerate(trainings)))


def _is_broken(constraint: Constraint, value: float | None) -> bool:
    low, high = constraint.at_least, constraint.at_most
    return value is None or (low is not None and value < low) or (high is not None and value > high)


@given(searches(least=1, most=20), DIRECTIONS, st.lists(VALUES, min_size=60, max_size=60))
def test_a_confirmation_of_any_values_comes_to_an_answer(
    trials: list[SearchTrial], direction: Direction, drawn: list[float]
) -> None:
    if not any(trial.state == "COMPLETED" for trial in trials):
        return
    values = iter(drawn * 10)
    plan = Plan.of(trials, direction, SPACE, top=3, seeds=2, search_seed=0)
    losses: dict[int, dict[int, float]] = {}
    runs = True
    while runs:
        plan, wanted = plan.next(losses)
        plan = Plan.from_json(plan.to_json())
        for run in wanted:
            losses.setdefault(run.number, {})[run.seed] = next(values)
        runs = bool(wanted) and plan.answer is None
    assert plan.answer in plan.numbers
    assert_finite(gap for _, gap in plan.tied)


def test_a_value_that_an_old_database_holds_leaves_the_others_their_order() -> None:
    numbers = np.random.default_rng(0).permutation(20).tolist()
    trials = [SearchTrial(number, schedule(number), "COMPLETED", float(value)) for number, value in enumerate(numbers)]
    huge = SearchTrial(20, schedule(20), "COMPLETED", 1e308)
    with_it = Landscape.of([*trials, huge], "minimize").finalists(3)
    assert 20 not in [trial.number for trial in with_it]

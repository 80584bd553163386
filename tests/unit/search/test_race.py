"""The race at equal phase: which trials continue, which stop, and which count as ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from lehr.schedules import Constant, Cosine, Schedule
from service.search.gaussian_process import GaussianProcess, expected_improvement, fit
from service.search.portfolio import greedy_cover
from service.search.pruners import rung_race as race
from service.search.pruners.base import Curve
from service.search.registry import curve_pruner
from service.search.rung_ranking import rank_across_rungs, rank_scores
from service.search.samplers.surrogate import PRIOR

HORIZON = 100
RULES = race.Rules(rungs=(0.1, 0.5), shares=(0.25, 0.25), leaders=0, least=4)


def runner(number: int, *passed: float, heat: float = 1.0, climbing: int = 0, ended: bool = True) -> race.Runner:
    return race.Runner(number, passed, (heat, heat), climbing, ended)


def test_a_trial_goes_on_only_while_few_enough_of_all_comers_are_ahead() -> None:
    rivals = [runner(number, float(number)) for number in range(8)]
    assert not race.falls_behind(runner(9, 1.5), rivals, RULES)
    assert race.falls_behind(runner(9, 2.5), rivals, RULES)


def test_who_was_stopped_before_a_rung_counts_there_as_behind() -> None:
    there = [runner(number, 0.0, float(number)) for number in range(4)]
    stopped = [runner(number, 9.0) for number in range(10, 14)]
    assert race.falls_behind(runner(9, 0.0, 1.5), there, RULES)
    assert not race.falls_behind(runner(9, 0.0, 1.5), [*there, *stopped], RULES)


def test_a_rival_that_has_annealed_further_is_not_ahead() -> None:
    cold = [runner(number, 0.1, heat=0.3) for number in range(8)]
    hot = [runner(number, 0.1, heat=0.9) for number in range(8)]
    assert not race.falls_behind(runner(9, 0.5, heat=0.8), cold, RULES)
    assert race.falls_behind(runner(9, 0.5, heat=0.8), hot, RULES)


def test_a_rival_that_has_hardly_annealed_further_is_ahead_where_there_is_slack() -> None:
    lenient = replace(RULES, slack=0.1)
    rivals = [runner(number, 0.1, heat=0.95) for number in range(8)]
    assert not race.falls_behind(runner(9, 0.5), rivals, RULES)
    assert race.falls_behind(runner(9, 0.5), rivals, lenient)
    assert not race.falls_behind(runner(9, 0.5), [runner(number, 0.1, heat=0.85) for number in range(8)], lenient)


def test_nobody_is_judged_while_it_climbs_or_before_enough_have_come() -> None:
    rivals = [runner(number, 0.1) for number in range(8)]
    assert not race.falls_behind(runner(9, 5.0, climbing=1), rivals, RULES)
    assert not race.falls_behind(runner(9, 5.0), rivals[:3], RULES)
    climbing = [runner(number, 0.1, climbing=1) for number in range(8)]
    assert not race.falls_behind(runner(9, 5.0), climbing, RULES)


def curve(number: int, schedule: Schedule, loss: float, until: int, state: str = "RUNNING") -> Curve:
    return Curve(number, schedule, state, tuple((step, loss) for step in range(9, until, 10)))


def prunes(pruner: str, trial: Curve, others: list[Curve]) -> bool:
    judge = curve_pruner(pruner)
    assert judge is not None
    return judge.should_prune(trial, others, horizon_steps=HORIZON, direction="minimize")


@pytest.mark.parametrize(("pruner", "until"), [("phases", 60)])
def test_the_pruner_compares_across_families_but_never_a_hot_schedule_with_a_cold_one(pruner: str, until: int) -> None:
    flat, falling = Constant(start_lr=0.1, end_lr=0.1), Cosine(start_lr=0.1, end_lr=1e-5)

    def stopped(schedule: Schedule, others: Schedule) -> bool:
        finished = [curve(number, others, 0.1, HORIZON, "COMPLETED") for number in range(20)]
        trial = curve(100, schedule, 0.5, until)
        return prunes(pruner, trial, finished)

    assert stopped(falling, flat)
    assert not stopped(flat, falling)


def ended(count: int) -> list[Curve]:
    """So many that completed, each at another loss."""
    cosine = Cosine(start_lr=0.1, end_lr=1e-5)
    return [curve(number, cosine, 0.1 + number / 100, HORIZON, "COMPLETED") for number in range(count)]


@pytest.mark.parametrize("until", [10, 20, 60])
def test_a_small_search_stops_the_hopeless_at_each_rung_and_never_one_of_its_best(until: int) -> None:
    def stopped(loss: float, schedule: Schedule) -> bool:
        return prunes("phases", curve(100, schedule, loss, until), ended(8))

    cosine = Cosine(start_lr=0.1, end_lr=1e-5)
    assert not stopped(0.135, cosine)
    assert stopped(5.0, cosine)


def test_a_constant_rate_is_behind_cosines_that_have_hardly_come_down() -> None:
    trial = curve(100, Constant(start_lr=0.9, end_lr=0.9), 5.0, 10)
    assert prunes("phases", trial, ended(8))
    later = curve(100, Constant(start_lr=0.9, end_lr=0.9), 5.0, 60)
    assert not prunes("phases", later, ended(8))


def test_standings_reorder_the_survivors_among_their_own_places() -> None:
    # By the first rung 0 1 2 3; of those that went on, 0 and 2, the second was better.
    assert rank_across_rungs([(1.0, 5.0), (2.0,), (3.0, 4.0), (4.0,)]) == [2, 1, 0, 3]
    assert rank_across_rungs([(), (1.0,)]) == [1, 0]


def test_standings_need_no_scale() -> None:
    values = [(3.0,), (1.0,), (2.0,)]
    assert rank_across_rungs(values) == rank_across_rungs([(one[0] * 1e18,) for one in values])
    assert rank_scores([0, 1])[0] > rank_scores([0, 1])[1] > 0


def test_the_process_is_the_normal_distribution_conditioned() -> None:
    generator = np.random.default_rng(0)
    points, merit = generator.random((6, 2)), generator.standard_normal(6)
    merit = (merit - merit.mean()) / merit.std()
    logs = np.array([-0.5, 0.2, 0.1, -2.0])
    process = GaussianProcess.of(points, merit, logs)

    def kernel(one: np.ndarray, other: np.ndarray) -> float:
        distance = np.sqrt(5) * np.linalg.norm((one - other) / np.exp(logs[:2]))
        return float(np.exp(logs[2]) * (1 + distance + distance**2 / 3) * np.exp(-distance))

    asked = np.array([0.3, 0.7])
    joint = np.array([[kernel(a, b) for b in [*points, asked]] for a in [*points, asked]])
    joint[:6, :6] += np.exp(-2.0) * np.eye(6)

    # The density of the asked value given the rest, as the ratio of two densities of scipy's.
    def log_density(value: float) -> float:
        whole = multivariate_normal(np.zeros(7), joint).logpdf([*merit, value])
        return float(whole - multivariate_normal(np.zeros(6), joint[:6, :6]).logpdf(merit))

    mean, deviation = (float(each[0]) for each in process.predict(asked[None, :]))
    for value in (-1.0, 0.0, 2.0):
        expected = -((value - mean) ** 2) / (2 * deviation**2) - np.log(deviation * np.sqrt(2 * np.pi))
        assert log_density(value) == pytest.approx(expected, abs=1e-8)


def test_expected_improvement_is_the_mean_of_what_exceeds_the_incumbent() -> None:
    draws = np.random.default_rng(1).normal(0.2, 0.7, 400_000)
    found = expected_improvement(np.array([0.2 - 0.5]), np.array([0.7]))[0]
    assert found == pytest.approx(np.maximum(draws - 0.5, 0).mean(), abs=0.003)


def test_a_training_believed_to_end_as_predicted_changes_no_mean_but_is_no_longer_unknown() -> None:
    generator = np.random.default_rng(3)
    points, asked = generator.random((8, 2)), np.array([[0.9, 0.1], [0.5, 0.5]])
    process = GaussianProcess.of(points, 3 + 2 * points.sum(axis=1), np.array([-0.5, -0.5, 0.0, -4.0]))
    believing = process.with_believed(asked[:1])
    (means, deviations), (means_then, deviations_then) = process.predict(asked), believing.predict(asked)
    assert means_then == pytest.approx(means)
    assert deviations_then[0] < 0.5 * deviations[0]


def test_expected_improvement_is_highest_near_the_top_of_a_smooth_hill() -> None:
    generator = np.random.default_rng(2)
    points = generator.random((40, 2))
    hill = -((points - 0.7) ** 2).sum(axis=1)
    candidates = generator.random((200, 2))
    process = fit(points, hill, PRIOR)
    assert process is not None
    means, deviations = process.predict(candidates)
    chosen = candidates[np.argmax(expected_improvement(means - hill.max(), deviations))]
    assert np.abs(chosen - 0.7).max() < 0.2


def test_the_cover_takes_first_what_helps_most_studies_and_then_what_helps_the_rest() -> None:
    regrets = np.array([[0.0, 0.9, 0.5], [0.1, 0.9, 0.5], [0.9, 0.0, 0.5]])
    assert greedy_cover(regrets, 2) == [0, 1]
    assert greedy_cover(regrets, 3, weights=[0, 0, 1]) == [1, 2, 0]
    assert greedy_cover(np.ones((2, 3)), 2) == []

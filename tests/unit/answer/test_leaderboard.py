"""The leaderboard compares families at an equal number of trials."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lehr.schedules import Constant, Cosine, Linear, Schedule
from service.answer.finalists import SearchTrial
from service.answer.leaderboard import best_of, leaderboard


def cosine(rate: float) -> Schedule:
    return Cosine(start_lr=rate, end_lr=rate / 100)


def constant(rate: float) -> Schedule:
    return Constant(start_lr=rate, end_lr=rate)


def completed(number: int, schedule: Schedule, value: float) -> SearchTrial:
    return SearchTrial(number, schedule, "COMPLETED", value)


@pytest.mark.parametrize(("total", "count"), [(1, 1), (5, 2), (9, 4), (6, 6)])
def test_the_best_of_some_agrees_with_counting_all_subsets_and_with_drawing(total: int, count: int) -> None:
    generator = np.random.default_rng(3)
    losses = [float(each) for each in generator.normal(size=total)]
    mean, low, high = best_of(losses, count)
    assert mean == pytest.approx(np.mean([min(subset) for subset in itertools.combinations(losses, count)]))
    draws = generator.choice(losses, size=(100_000, count)).min(1)
    assert np.mean(draws < low) < 0.03
    assert np.mean(draws > high) < 0.03


def test_a_family_is_not_better_for_having_had_more_trials() -> None:
    """Both families draw from the same values, the cosine ten times as often: the ranks are a toss."""
    generator = np.random.default_rng(0)
    wins = 0
    for _ in range(200):
        values = generator.normal(0.9, 0.02, size=44)
        trials = [completed(number, constant(0.01 + number), float(values[number])) for number in range(4)]
        trials += [completed(number, cosine(0.01 + number), float(values[number])) for number in range(4, 44)]
        board = leaderboard(trials, ["constant", "cosine"], "maximize", {})
        assert {entry.equal_budget.trials for entry in board if entry.equal_budget} == {4}
        wins += board[0].family == "cosine"
    assert 75 <= wins <= 125
    naive = sum(max(generator.normal(size=40)) > max(generator.normal(size=4)) for _ in range(200))
    assert naive > 160


@pytest.mark.parametrize(("direction", "first"), [("maximize", "cosine"), ("minimize", "constant")])
def test_families_are_ranked_by_direction_and_those_untried_come_last(direction: str, first: str) -> None:
    trials = [completed(0, constant(0.1), 0.5), completed(1, cosine(0.1), 0.9), completed(2, cosine(0.2), 0.8)]
    board = leaderboard(trials, ["linear", "constant", "cosine"], direction, {})
    assert [entry.rank for entry in board] == [1, 2, 3]
    assert board[0].family == first
    assert (board[2].family, board[2].trials, board[2].best, board[2].equal_budget) == ("linear", 0, None, None)


def test_a_diverged_trial_counts_as_the_studys_worst_value() -> None:
    trials = [
        completed(0, constant(0.1), 0.5),
        completed(1, cosine(0.1), 0.9),
        SearchTrial(2, cosine(9.0), "DIVERGED", None),
        SearchTrial(3, cosine(8.0), "FAILED", None),
    ]
    best = leaderboard(trials, ["constant", "cosine"], "maximize", {})[0]
    assert (best.family, best.trials, best.diverged) == ("cosine", 2, 1)
    assert best.equal_budget is not None
    assert best.equal_budget.mean == pytest.approx((0.9 + 0.5) / 2)


def test_a_family_of_which_nothing_completed_has_no_best() -> None:
    trials = [completed(0, constant(0.1), 0.5), SearchTrial(1, cosine(9.0), "DIVERGED", None)]
    last = leaderboard(trials, ["constant", "cosine"], "minimize", {})[1]
    assert (last.family, last.best, last.equal_budget, last.diverged) == ("cosine", None, None, 1)


def test_a_schedule_that_a_user_adds_once_takes_part_and_leaves_the_comparison_of_the_others_as_it_was() -> None:
    searched = [completed(n, constant(0.01 + n), 0.5 + 0.01 * n) for n in range(5)]
    searched += [completed(n, cosine(0.01 + n), 0.5 + 0.01 * n) for n in range(5, 11)]
    added = completed(11, Linear(start_lr=0.1, end_lr=0.0), 0.99)
    without = leaderboard(searched, ["constant", "cosine"], "maximize", {})
    board = leaderboard([*searched, added], ["constant", "cosine"], "maximize", {})
    assert board[:2] == without
    assert (board[2].family, board[2].rank, board[2].trials, board[2].equal_budget) == ("linear", 3, 1, None)
    assert board[2].best is not None
    assert board[2].best.value == 0.99
    (alone,) = leaderboard([added], [], "maximize", {})
    assert alone.equal_budget is not None

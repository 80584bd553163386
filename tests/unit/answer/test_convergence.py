"""A search has converged when the expected gain is small relative to the noise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lehr.schedules import Constant, Schedule
from lehr.space import Range, Space
from service.answer.convergence import FEWEST, Convergence, convergence

SPACE = Space.of(families=["constant"], start_lr=Range(1e-4, 1.0), end_lr=Range(1e-6, 1e-1))
BEST = -1.5
NOISE = 0.02


def truth(schedule: Schedule) -> float:
    return 0.3 + 0.2 * (math.log10(schedule.max_lr) - BEST) ** 2


def search(count: int, around: float | None = None, *, noise: float = NOISE, seed: int = 0) -> Convergence | None:
    """Half of the trials anywhere, the others around a place, or anywhere, too."""
    generator = np.random.default_rng(seed)
    places = generator.uniform(-4, 0, count)
    if around is not None:
        places[count // 2 :] = generator.normal(around, 0.15, count - count // 2)
    tried = [Constant(start_lr=10**place, end_lr=10**place) for place in places]
    return convergence(tried, [truth(each) + noise * generator.standard_normal() for each in tried], SPACE)


def test_a_search_that_has_been_where_the_best_is_has_converged() -> None:
    found = search(60, BEST)
    assert found is not None
    assert found.converged
    assert found.trials == 60
    assert found.noise == pytest.approx(NOISE, rel=0.5)


def test_a_search_that_looked_at_one_side_alone_has_not() -> None:
    generator = np.random.default_rng(1)
    places = generator.uniform(-4, -2.7, 40)
    tried = [Constant(start_lr=10**place, end_lr=10**place) for place in places]
    found = convergence(tried, [truth(each) + 0.002 * generator.standard_normal() for each in tried], SPACE)
    assert found is not None
    assert not found.converged


def test_the_bound_on_the_regret_holds_almost_always() -> None:
    held = 0
    for seed in range(8):
        generator = np.random.default_rng(seed)
        places = generator.uniform(-4, 0, 24)
        tried = [Constant(start_lr=10**place, end_lr=10**place) for place in places]
        found = convergence(tried, [truth(each) + NOISE * generator.standard_normal() for each in tried], SPACE)
        assert found is not None
        held += min(map(truth, tried)) - 0.3 <= found.regret_bound
    assert held >= 7


def test_the_expected_improvement_is_small_where_noise_hides_all_differences() -> None:
    loud = search(40, noise=5.0)
    assert loud is not None
    assert loud.converged
    assert loud.noise > 3


def test_too_few_trials_or_equal_ones_tell_nothing_and_diverged_ones_are_no_numbers() -> None:
    assert search(FEWEST - 1) is None
    same = [Constant(start_lr=0.1, end_lr=0.1)] * 30
    assert convergence(same, [0.5] * 30, SPACE) is None
    rates = np.geomspace(1e-4, 1.0, 40)
    tried = [Constant(start_lr=rate, end_lr=rate) for rate in rates]
    losses = [math.inf if rate > 0.2 else truth(each) for each, rate in zip(tried, rates, strict=True)]
    found = convergence(tried, losses, SPACE)
    assert found is not None
    assert all(map(math.isfinite, (found.expected_improvement, found.noise, found.regret_bound)))
    assert convergence(tried, [math.inf] * 40, SPACE) is None
    assert convergence(tried, losses, SPACE) == found

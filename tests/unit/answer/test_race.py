"""The race of the finalists: which ones it drops, which continue, and its cost."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from service.answer.race import places, rounds, seeds_of_round, simplest, survivors


def losses_of(values: np.ndarray) -> dict[int, dict[int, float]]:
    """values: (racers, seeds), NaN where a racer has not run."""
    return {
        racer: {seed: float(value) for seed, value in enumerate(row) if not np.isnan(value)}
        for racer, row in enumerate(values)
    }


def test_two_racers_are_compared_as_by_a_paired_t_test() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        values = generator.normal(size=(2, 6)) + 3 * generator.normal(size=6)
        leader, other = places(losses_of(values))
        reference = stats.ttest_rel(values[other.racer], values[leader.racer], alternative="greater")
        assert other.error is not None
        assert other.gap / other.error == pytest.approx(reference.statistic)
        assert other.tied == (reference.pvalue >= 0.05)


def test_racers_that_stopped_early_are_compared_on_the_seeds_they_had() -> None:
    """The third seed is a hard one; who never ran it must not look better for that."""
    values = np.array([[1.0, 2.0, 9.0], [1.5, 2.5, np.nan]])
    leader, other = places(losses_of(values))
    assert (leader.racer, other.gap) == (0, pytest.approx(0.5))


def test_an_unfinished_block_design_is_fitted_by_least_squares() -> None:
    generator = np.random.default_rng(1)
    values = generator.normal(size=(4, 5))
    values[2:, 3:] = np.nan
    cells = np.argwhere(~np.isnan(values))
    design = np.zeros((len(cells), 4 + 4))  # the first seed is the reference
    for row, (racer, seed) in enumerate(cells):
        design[row, racer] = 1
        if seed:
            design[row, 3 + seed] = 1
    targets = values[cells[:, 0], cells[:, 1]]
    effects, (squares,), _, _ = np.linalg.lstsq(design, targets, rcond=None)
    covariance = np.linalg.inv(design.T @ design) * squares / (len(cells) - 8)
    found = places(losses_of(values))
    leader = found[0].racer
    assert leader == int(np.argmin(effects[:4]))
    for place in found[1:]:
        contrast = np.zeros(8)
        contrast[place.racer], contrast[leader] = 1, -1
        assert place.gap == pytest.approx(contrast @ effects)
        assert place.error == pytest.approx(float(np.sqrt(contrast @ covariance @ contrast)))


def test_one_of_several_equal_racers_is_seldom_called_a_loser() -> None:
    """Each against one that is named beforehand: at most 5% of the studies drop any of four equals too many."""
    generator = np.random.default_rng(2)
    dropped = [
        any(not place.tied for place in places(losses_of(generator.normal(size=(5, 4)) + generator.normal(size=4))))
        for _ in range(400)
    ]
    # The leader is the luckiest of five, so that the bound for a fixed one is exceeded somewhat.
    assert np.mean(dropped) < 0.2


def test_clear_losers_are_not_tied_and_equal_values_are() -> None:
    found = places({0: {0: 0.10, 1: 0.11, 2: 0.12}, 1: {0: 0.50, 1: 0.52, 2: 0.51}, 2: {0: 0.10, 1: 0.11, 2: 0.12}})
    assert [place.racer for place in found if place.tied] == [0, 2]


def test_the_better_half_goes_on_without_the_clear_losers() -> None:
    found = places({0: {0: 0.10, 1: 0.11}, 1: {0: 0.50, 1: 0.51}, 2: {0: 0.60, 1: 0.61}, 3: {0: 0.7, 1: 0.71}})
    assert survivors(found, [0, 1, 2, 3]) == [0]
    close = places({0: {0: 0.10, 1: 0.15}, 1: {0: 0.11, 1: 0.12}, 2: {0: 0.13, 1: 0.14}})
    assert survivors(close, [0, 1, 2]) == [1, 0]


@pytest.mark.parametrize(("racers", "runs"), [(2, 5), (3, 10), (4, 10), (8, 35), (5, 3), (4, 4)])
def test_the_rounds_spend_no_more_than_their_trainings(racers: int, runs: int) -> None:
    left, racing = runs, racers
    for rounds_left in range(rounds(racers), 0, -1):
        seeds = seeds_of_round(racing, left, rounds_left)
        left -= seeds * racing
        racing = (racing + 1) // 2
        assert left >= 0
    assert runs < racers or left < max(2, racers)


@pytest.mark.parametrize(("part", "chosen"), [(0.49, 1), (0.51, 0)])
def test_the_simplest_within_half_a_standard_error_is_chosen(part: float, chosen: int) -> None:
    values = np.random.default_rng(4).normal(scale=0.01, size=(3, 6))
    values -= values.mean(1, keepdims=True)
    values[2] += 0.5
    error = places(losses_of(values))[1].error  # whoever is how far behind, the residuals are the same
    assert error is not None
    values[1] += part * error
    found = places(losses_of(values))
    assert simplest(found, {0: (5.0,), 1: (2.0,), 2: (1.0,)}) == chosen
    assert simplest(found, {0: (2.0,), 1: (2.0,), 2: (1.0,)}) == 0

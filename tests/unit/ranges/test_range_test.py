"""Range tests on synthetic curves with known points, each with a difficulty of real sweeps."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lehr.wire.ranges import RangeResult, RangeSpec
from service.ranges.loss_by_rate import Sweep
from service.ranges.points import valley
from service.ranges.range_test import ABOVE, BELOW, range_test, with_usual_bounds

STEPS = 200
RATES = tuple(10 ** (-6 + 7 * step / (STEPS - 1)) for step in range(STEPS))
FALL, LOST = -2.5, -0.5
"""log10 of the rates where the made loss falls fastest, and has lost half of its gain."""
Losses = list[float | None]


def clean(scale: float = 1.0, shift: float = 0.0) -> Losses:
    """From 2.3 down to 0.3, and up again to far beyond."""
    return [
        shift + scale * (0.3 + 2.0 / (1 + math.exp(4 * (x - FALL))) + 1.0 * math.exp(6 * (x - LOST)))
        for x in map(math.log10, RATES)
    ]


def noisy(seed: int, scatter: float) -> Losses:
    draws = np.random.default_rng(seed).normal(0, scatter, STEPS)
    return [loss + float(draw) for loss, draw in zip(clean(), draws, strict=True)]  # type: ignore[operator]


def swept(*curves: Losses, diverged: bool = False) -> RangeResult:
    sweeps = [Sweep(n, RATES[: len(losses)], tuple(losses), diverged=diverged) for n, losses in enumerate(curves)]
    return range_test(sweeps)


def assert_right(found: RangeResult, within: float = 0.2) -> None:
    """The points in log10 are where the made curve has them, to `within`; the minimum is flat, so less exactly."""
    assert found.found, found.reason
    assert found.steepest is not None
    assert found.minimum is not None
    assert found.divergence is not None
    assert math.log10(found.steepest.lr) == pytest.approx(FALL, abs=within)
    assert math.log10(found.divergence.lr) == pytest.approx(LOST, abs=within)
    assert -1.6 < math.log10(found.minimum.lr) < -0.8
    assert math.log10(searched(found).high / searched(found).low) <= 1.75


def with_spikes(losses: Losses) -> Losses:
    return [500.0 if step in (0, 1, 9, 60, 61) else loss for step, loss in enumerate(losses)]


def with_gaps(losses: Losses) -> Losses:
    return [None if step % 7 == 3 else loss for step, loss in enumerate(losses)]


def ending_in_nothing(losses: Losses) -> Losses:
    return [loss if step < 175 else None for step, loss in enumerate(losses)]


def ending_in_the_astronomical(losses: Losses) -> Losses:
    return [loss if step < 170 else 1e30 * step for step, loss in enumerate(losses)]


def searched(found: RangeResult) -> RangeSpec:
    """The bounds that a study searches which goes on."""
    bounds = with_usual_bounds(found).bounds
    assert bounds is not None
    return bounds


@pytest.mark.parametrize("spoil", [list, with_spikes, with_gaps, ending_in_nothing, ending_in_the_astronomical])
def test_the_points_are_found_in_spite_of(spoil: Callable[[Losses], Losses]) -> None:
    assert_right(swept(*(spoil(noisy(seed, 0.05)) for seed in range(3)), diverged=spoil is ending_in_nothing))


@pytest.mark.parametrize("scatter", [0.0, 0.1, 0.3])
def test_noise_moves_the_points_little(scatter: float) -> None:
    assert_right(swept(*(noisy(seed, scatter) for seed in range(3))), within=0.35)


def test_losses_may_be_of_any_size_and_sign() -> None:
    expected = swept(clean())
    for scale, shift in ((1e-6, 0.0), (1e6, 0.0), (1.0, -1000.0)):
        assert swept(clean(scale, shift)).bounds == expected.bounds


def test_a_sweep_that_went_astray_alone_moves_little() -> None:
    astray: Losses = [5.0 + 0.1 * (step % 3) for step in range(STEPS)]
    right, crossed = swept(noisy(0, 0.05), noisy(1, 0.05)), swept(noisy(0, 0.05), noisy(1, 0.05), astray)
    assert math.log10(searched(crossed).high / searched(right).high) == pytest.approx(0, abs=0.3)


def test_the_spread_over_seeds_holds_the_common_point() -> None:
    found = swept(*(noisy(seed, 0.2) for seed in range(5)))
    for point in (found.minimum, found.steepest, found.divergence):
        assert point is not None
        assert point.seeds == 5
        assert point.least <= point.greatest
    assert found.divergence is not None
    assert found.divergence.least / 1.3 <= found.divergence.lr <= 1.3 * found.divergence.greatest
    assert found.curve is not None
    rows = zip(found.curve.least, found.curve.loss, found.curve.greatest, strict=True)
    assert all(least <= loss <= greatest for least, loss, greatest in rows)


@pytest.mark.parametrize(
    "losses",
    [
        [1.0] * STEPS,
        [1.0 + 0.1 * math.sin(7.3 * step) for step in range(STEPS)],
        [math.exp(step / 20) for step in range(STEPS)],
        [None] * STEPS,
        [1.0, None, None],
        [],
    ],
    ids=["flat", "only noise", "only rising", "no numbers", "diverged at once", "nothing"],
)
def test_without_a_fall_there_are_no_bounds_and_a_search_takes_the_usual_ones(losses: Losses) -> None:
    found = swept(losses, losses, diverged=True)
    assert not found.found
    assert found.bounds is None
    assert (searched(found).low, searched(found).high) == (1e-4, 1.0)
    assert "sweeps" in found.reason
    assert "searched from 0.0001 to 1" in with_usual_bounds(found).reason
    assert found.minimum is None


def test_noise_alone_is_rarely_taken_for_a_fall() -> None:
    draws = np.random.default_rng(5).normal(1.0, 0.3, (100, 3, STEPS))
    assert sum(swept(*three.tolist()).found for three in draws) <= 2


def test_a_sweep_that_ends_before_it_diverges_says_so() -> None:
    found = swept([loss for loss, rate in zip(clean(), RATES, strict=True) if rate < 0.05])
    assert found.found
    assert found.divergence is None
    assert "sweep ends" in found.reason
    assert searched(found).high <= 0.05


def falling_until(decade: float) -> Losses:
    """Of held-out examples: worse again beyond that rate, told at every second step."""
    losses = [2.3 - 2.0 * math.exp(-((math.log10(rate) - decade) ** 2)) for rate in RATES]
    return [loss if step % 2 else None for step, loss in enumerate(losses)]


@pytest.mark.parametrize("decade", [-3.0, -2.5, -1.5])
def test_bounds_hang_on_where_held_out_examples_are_learnt_best(decade: float) -> None:
    sweeps = [Sweep(seed, RATES, tuple(noisy(seed, 0.05)), held_out=tuple(falling_until(decade))) for seed in range(3)]
    found = range_test(sweeps)
    assert found.held_out_minimum is not None
    assert math.log10(found.held_out_minimum.lr) == pytest.approx(decade, abs=0.06)
    assert math.log10(searched(found).low) == pytest.approx(decade - BELOW, abs=0.07)
    assert math.log10(searched(found).high) == pytest.approx(decade + ABOVE, abs=0.07)
    assert found.minimum == swept(*(noisy(seed, 0.05) for seed in range(3))).minimum, "the training loss's own"
    assert "held-out" in found.reason


@pytest.mark.parametrize(
    "held_out",
    [(), (None,) * STEPS, (1.0,) * STEPS, (1.0, 0.5) + (None,) * (STEPS - 2), (math.nan,) * STEPS],
    ids=["not told", "no numbers", "flat", "too few", "nan"],
)
def test_without_a_fall_of_the_held_out_loss_bounds_hang_on_the_training(held_out: tuple[float | None, ...]) -> None:
    found = range_test([Sweep(0, RATES, tuple(clean()), held_out=held_out)])
    assert found.held_out_minimum is None
    assert found.bounds == swept(clean()).bounds


def test_bounds_lie_within_what_was_swept() -> None:
    found = swept(clean()[60:])
    assert searched(found).low >= RATES[0]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True) | st.none(), max_size=120))
@settings(max_examples=60, deadline=None)
def test_whatever_the_losses_the_bounds_are_a_range(losses: Losses) -> None:
    bounds = searched(swept(losses))
    assert 0 < bounds.low <= bounds.high <= 10.0


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_the_valley_is_fastais(values: list[int]) -> None:
    losses = np.array(values, dtype=float)
    assert valley(losses) == max(0, _valley_as_defined(values))


def _valley_as_defined(losses: list[int]) -> int:
    """By the length of the longest falling subsequence that ends at each place: all pairs are looked at."""
    lengths = [1] * len(losses)
    for later in range(len(losses)):
        for earlier in range(later):
            if losses[later] < losses[earlier]:
                lengths[later] = max(lengths[later], lengths[earlier] + 1)
    end = lengths.index(max(lengths))
    start = end - lengths[end]
    third = (end - start) / 3
    return start + int(third) + int(third / 2)

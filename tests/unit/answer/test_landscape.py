"""The Gaussian process that smooths a search's values and chooses the finalists."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from lehr.schedules import FAMILIES, Constant, Cosine, Linear, Plateau, Schedule
from service.answer.finalists import SearchTrial
from service.answer.landscape import PRIOR, Landscape
from service.answer.sensitivity import Sensitivity
from service.search.gaussian_process import fit
from service.search.rates import rate_features


def trials_of(schedules: list[Schedule], values: list[float]) -> list[SearchTrial]:
    return [
        SearchTrial(number, schedule, "COMPLETED", float(value))
        for number, (schedule, value) in enumerate(zip(schedules, values, strict=True))
    ]


def test_the_process_predicts_and_weighs_its_parameters_as_scikit_learns_does() -> None:
    generator = np.random.default_rng(0)
    inputs = generator.uniform(-3, 0, size=(25, 4))
    losses = np.sin(2 * inputs[:, 1]) + 0.2 * generator.normal(size=25)
    process = fit(inputs, losses, PRIOR)
    assert process is not None
    *lengths, signal, noise = np.exp(process.theta)
    kernel = ConstantKernel(signal) * Matern(lengths, nu=2.5) + WhiteKernel(noise)
    reference = GaussianProcessRegressor(kernel, alpha=0, optimizer=None)
    targets = (losses - losses.mean()) / losses.std()
    reference.fit(inputs, targets)
    places = generator.uniform(-3, 0, size=(10, 4))
    means, deviations = process.predict(places)
    expected, spread = reference.predict(places, return_std=True)
    noiseless = np.sqrt(spread**2 - noise)
    assert means == pytest.approx(losses.mean() + losses.std() * expected)
    assert deviations == pytest.approx(losses.std() * noiseless, rel=1e-4)

    means, deviations = PRIOR.moments(4)

    def posterior(theta: np.ndarray) -> float:
        prior = ((theta - means) / deviations) ** 2
        scikit_learns = np.array([theta[4], *theta[:4], theta[5]])
        return float(reference.log_marginal_likelihood(scikit_learns)) - 0.5 * float(prior.sum())

    best = posterior(process.theta)
    for axis in range(6):
        for step in (-0.1, 0.1):
            assert posterior(process.theta + step * np.eye(6)[axis]) <= best + 1e-4


def test_every_family_has_features_even_one_that_ends_at_zero_or_adapts() -> None:
    for family in FAMILIES.values():
        if family.family in ("constant", "piecewise", "plateau") or not family.searchable:
            continue
        levels = {"peak_lr": 0.1} if family.climbs else {}
        found = rate_features(family(start_lr=0.1, end_lr=0.0 if family.family == "linear" else 0.001, **levels))
        assert np.isfinite(found).all()
    assert np.isfinite(rate_features(Plateau(start_lr=0.1, end_lr=0.0, metric="val_loss"))).all()
    assert rate_features(Constant(start_lr=0.1, end_lr=0.1)) == pytest.approx([-1.0] * 4)


def test_neighbours_take_the_luck_out_of_a_search() -> None:
    """In a noisy valley of rates the estimates of the good ones are nearer to the truth than their values."""
    generator = np.random.default_rng(1)
    raw, smooth, optimism = [], [], []
    for _ in range(12):
        rates = 10 ** generator.uniform(-3, 0, size=30)
        truth = (np.log10(rates) + 1.5) ** 2
        values = truth + 0.15 * generator.normal(size=30)
        landscape = Landscape.of(trials_of([Constant(start_lr=r, end_lr=r) for r in rates], list(values)), "minimize")
        estimates = landscape.estimates()
        good = [number for number in estimates if truth[number] < 0.3]
        raw.append(np.mean((values[good] - truth[good]) ** 2))
        smooth.append(np.mean((np.array([estimates[number] for number in good]) - truth[good]) ** 2))
        chosen = landscape.finalists(1)[0].number
        optimism.append((truth[chosen] - estimates[chosen], truth[int(np.argmin(values))] - values.min()))
    assert np.mean(smooth) < 0.5 * np.mean(raw)
    ours, naive = np.mean(optimism, axis=0)
    assert abs(ours) < 0.5 * naive


def test_of_two_nearly_equal_schedules_only_one_is_a_finalist() -> None:
    generator = np.random.default_rng(2)
    rates = [*10 ** generator.uniform(-3, 0, size=20), 0.03, 0.0300001]
    values = [*((np.log10(rates[:20]) + 1.5) ** 2 + 0.02 * generator.normal(size=20)), 0.001, 0.0011]
    finalists = Landscape.of(trials_of([Constant(start_lr=r, end_lr=r) for r in rates], values), "minimize").finalists(
        3
    )
    assert len({20, 21} & {trial.number for trial in finalists}) == 1


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_few_trials_are_taken_as_they_are_each_schedule_once(direction: str) -> None:
    best, copy, other = (
        Cosine(start_lr=0.1, end_lr=0.01),
        Cosine(start_lr=0.1, end_lr=0.01),
        Linear(start_lr=1, end_lr=0),
    )
    sign = 1 if direction == "minimize" else -1
    found = trials_of([other, best, copy, Constant(start_lr=0.2, end_lr=0.2)], [sign * v for v in (0.5, 0.1, 0.2, 0.9)])
    found.append(SearchTrial(4, Cosine(start_lr=9, end_lr=1), "DIVERGED", None))
    landscape = Landscape.of(found, direction)
    assert [trial.number for trial in landscape.finalists(3)] == [1, 0, 3]
    assert landscape.finalists(1)[0].schedule == best
    baseline = landscape.baseline()
    assert baseline is not None
    assert baseline.number == 3
    assert Sensitivity.of(landscape.trials, "minimize").at(best) is None


def test_a_constant_that_failed_is_no_baseline_for_lying_where_the_slope_points() -> None:
    """The higher the rate the better, up to a cliff: those beyond it are too bad for the process to see."""
    generator = np.random.default_rng(0)
    rates = [*np.geomspace(0.003, 0.3, 9), 0.8, 0.9, 1.0]
    values = [0.5 - 0.15 * np.log10(rate / 0.003) + 0.01 * generator.normal() if rate < 0.5 else 2.3 for rate in rates]
    landscape = Landscape.of(trials_of([Constant(start_lr=rate, end_lr=rate) for rate in rates], values), "minimize")
    baseline = landscape.baseline()
    assert baseline is not None
    assert baseline.number in (7, 8)


def test_equal_values_everywhere_are_no_landscape() -> None:
    schedules: list[Schedule] = [Constant(start_lr=0.1 * n, end_lr=0.1 * n) for n in range(1, 13)]
    finalists = Landscape.of(trials_of(schedules, [0.5] * 12), "minimize").finalists(2)
    assert [trial.number for trial in finalists] == [0, 1]


def test_a_steep_place_is_more_sensitive_to_its_rate_than_a_flat_one() -> None:
    rates = np.logspace(-3, 0, 40)
    values = np.where(np.log10(rates) > -1, 4 * (np.log10(rates) + 1), 0.02 * np.abs(np.log10(rates) + 2))
    sensitivity = Sensitivity.of(trials_of([Constant(start_lr=r, end_lr=r) for r in rates], list(values)), "minimize")
    steep = sensitivity.at(Constant(start_lr=0.1, end_lr=0.1))
    flat = sensitivity.at(Constant(start_lr=0.01, end_lr=0.01))
    assert steep is not None
    assert flat is not None
    assert steep > 1.5 * flat


@pytest.mark.parametrize("diverges", [False, True])
def test_a_cliff_at_less_than_twice_the_rate_is_seen(diverges: bool) -> None:
    """It lies 1.6 times above the best rate, and costs two; or everything beyond it diverges."""
    generator = np.random.default_rng(1)
    trials = []
    for number, rate in enumerate(10 ** generator.uniform(-3, 0.5, size=40)):
        distance = np.log10(rate) + 1
        value = 2.0 if distance > 0.2 else 0.05 * distance**2 + 0.01 * generator.normal()
        lost = diverges and distance > 0.2
        schedule = Cosine(start_lr=rate, end_lr=rate / 100)
        state = "DIVERGED" if lost else "COMPLETED"
        trials.append(SearchTrial(number, schedule, state, None if lost else value))
    sensitivity = Sensitivity.of(trials, "minimize")
    near, far = (sensitivity.at(Cosine(start_lr=rate, end_lr=rate / 100)) for rate in (0.1, 0.005))
    assert near is not None
    assert far is not None
    assert near > 2 * far
    assert near > (0.1 if diverges else 0.2)

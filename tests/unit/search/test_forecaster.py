"""Forecast intervals have the stated coverage, and there is no forecast if the law does not fit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks.forecast.run import read_curve
from lehr.schedules import Cosine
from lehr.space import Range, Space
from service.forecast.fitted_curves import rates_of
from service.forecast.forecaster import Doubt, Forecast, Forecaster
from service.forecast.suggestion import suggest
from service.search.law import Array, Law, LossCurve
from tests.support.shared_data import FOLDER

HORIZON = 1000
TRUE = Law(floor=0.5, reach=0.8, decay=0.5, heat=0.3, patience=0.05, reference=0.1, span=100.0)


def drawn(generator: np.random.Generator, noise: float = 0.004) -> LossCurve:
    """A training that obeys the law, but for its luck: a rate that is annealed by some power to some part."""
    peak, end = 10 ** generator.uniform(-1.5, -1.0), 10 ** generator.uniform(-3, 0)
    grid = np.linspace(0.0, HORIZON - 1, 200)
    rates = peak * (end + (1 - end) * (1 - grid / HORIZON) ** generator.uniform(0.5, 3))
    steps = np.arange(49.0, HORIZON, 50)
    luck = noise * (generator.standard_normal() + 0.3 * generator.standard_normal(len(steps)))
    return LossCurve(grid, rates, steps, TRUE.predict(grid, rates, steps) + luck)


def knowing(curves: list[LossCurve], horizon: int = HORIZON) -> Forecaster:
    found = Forecaster.of(curves, horizon)
    assert isinstance(found, Forecaster), found
    return found


def first(curve: LossCurve, count: int) -> LossCurve:
    return LossCurve(curve.grid, curve.rates, curve.steps[:count], curve.losses[:count])


@pytest.mark.parametrize("count", [6, 12])
def test_nine_of_ten_trainings_end_within_the_interval(count: int) -> None:
    hits = []
    for seed in range(6):
        generator = np.random.default_rng(seed)
        forecaster = knowing([drawn(generator) for _ in range(count)])
        for curve in (drawn(generator) for _ in range(30)):
            told = forecaster.foresee(curve.grid, curve.rates)
            if isinstance(told, Forecast):
                hits.append(told.low <= curve.losses[-1] <= told.high)
    assert len(hits) > 100
    assert 0.83 <= np.mean(hits) <= 0.99


def test_what_a_running_training_reported_narrows_its_forecast_and_nine_of_ten_end_within() -> None:
    hits, widths = [], []
    for seed in range(8):
        generator = np.random.default_rng(seed)
        forecaster = knowing([drawn(generator, 0.02) for _ in range(12)])
        for curve in (drawn(generator, 0.02) for _ in range(25)):
            before, late = forecaster.foresee(curve.grid, curve.rates), forecaster.follow(first(curve, 15))
            if isinstance(late, Forecast):
                hits.append(late.low <= curve.losses[-1] <= late.high)
                widths += [(late.high - late.low) / (before.high - before.low)] if isinstance(before, Forecast) else []
    assert len(hits) > 100
    assert np.mean(hits) >= 0.8
    assert np.mean(widths) < 0.8


def test_curves_that_obey_no_law_of_the_rate_get_no_forecast() -> None:
    generator = np.random.default_rng(1)
    curves = [drawn(generator) for _ in range(10)]
    luck = [
        LossCurve(one.grid, one.rates, one.steps, one.losses * factor)
        for one, factor in zip(curves, generator.uniform(0.3, 3.0, 10), strict=True)
    ]
    told = knowing(luck).foresee(curves[0].grid, curves[0].rates)
    assert isinstance(told, Doubt)
    assert told.code == "law_misfits"


def test_few_curves_foreign_rates_and_distant_horizons_get_no_forecast() -> None:
    generator = np.random.default_rng(2)
    curves = [drawn(generator) for _ in range(8)]
    few = Forecaster.of(curves[:4], HORIZON)
    assert isinstance(few, Doubt)
    assert few.code == "few_curves"
    forecaster = knowing(curves)
    grid, rates = curves[0].grid, curves[0].rates
    codes = [
        forecaster.foresee(grid, 10 * rates),
        forecaster.foresee(grid, rates / 100),
        forecaster.foresee(9 * grid, rates),
    ]
    assert [told.code for told in codes if isinstance(told, Doubt)] == [
        "rate_outside",
        "rate_outside",
        "horizon_outside",
    ]


def test_a_longer_training_is_expected_to_end_lower_and_is_known_less_well() -> None:
    generator = np.random.default_rng(3)
    curves = [drawn(generator) for _ in range(8)]
    forecaster, one = knowing(curves), curves[0]
    once, twice = (forecaster.foresee(np.linspace(0, times * HORIZON - 1, 200), one.rates) for times in (1, 2))
    assert isinstance(once, Forecast)
    assert isinstance(twice, Forecast)
    assert twice.value < once.value
    assert twice.high - twice.low > once.high - once.low


def test_trainings_that_report_once_at_their_end_tell_of_their_own_horizon_alone() -> None:
    generator = np.random.default_rng(5)
    curves = [drawn(generator, 1e-4) for _ in range(12)]
    whole = knowing(curves)
    late = [LossCurve(one.grid, one.rates, one.grid[-1:], one.losses[-1:]) for one in curves]
    told = knowing(late).foresee(curves[0].grid, curves[0].rates)
    assert isinstance(told, Forecast), told
    assert np.isfinite([told.value, told.low, told.high]).all()
    longer = np.linspace(0, 2 * HORIZON - 1, 200)
    assert isinstance(whole.foresee(longer, curves[0].rates), Forecast)
    unknown = knowing(late).foresee(longer, curves[0].rates)
    assert isinstance(unknown, Doubt)
    assert unknown.code == "horizon_unknown"


def test_the_suggested_schedule_beats_what_was_trained_by_the_true_law_at_rates_that_were_trained() -> None:
    generator = np.random.default_rng(4)
    curves = [drawn(generator) for _ in range(12)]
    space = Space.of(families=["constant", "cosine", "polynomial"], start_lr=Range(1e-3, 10.0), end_lr=Range(1e-5, 0.1))
    found = suggest(knowing(curves), space)
    assert found is not None
    schedule, told = found
    grid, rates = rates_of(schedule, HORIZON)
    assert rates.max() <= max(curve.rates.max() for curve in curves)
    reached = TRUE.predict(grid, rates, grid[-1:])[0]
    assert reached < np.median([curve.losses[-1] for curve in curves])
    assert told.low - 0.02 <= reached <= told.high + 0.02


@pytest.mark.parametrize("model", ["25M", "100M"])
@pytest.mark.skipif(not (FOLDER / "loss_curves").exists(), reason="the loss curves are not here")
def test_real_curves_of_schedules_that_were_not_fitted_end_within_their_interval(model: str) -> None:
    files = sorted((FOLDER / "loss_curves" / model).glob("*.csv"))
    curves: dict[str, LossCurve] = {path.stem: read_curve(path) for path in files}
    short = [name for name in curves if not name.endswith("72000")]
    hits, errors = [], []
    for fitted in itertools.combinations(short, 5):
        forecaster = knowing([curves[name] for name in fitted], 24_000)
        for name in curves.keys() - set(fitted):
            told, last = forecaster.foresee(curves[name].grid, curves[name].rates), curves[name].losses[-1]
            assert isinstance(told, Forecast), told
            hits.append(told.low <= last <= told.high)
            errors.append(abs(told.value - last))
    assert np.mean(hits) >= 0.85
    assert np.mean(errors) < 0.01


def test_the_grid_of_a_schedule_has_its_own_rates() -> None:
    schedule = Cosine(start_lr=0.1, end_lr=0.001)
    for horizon in (1, 2, 7, 10_000):
        grid, rates = rates_of(schedule, horizon)
        exact: Array = np.array([schedule.lr(int(step), horizon) for step in grid])
        assert np.allclose(rates, exact, rtol=1e-9)

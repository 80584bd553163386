"""For any finite losses and rates of trainings, fits are finite or reported as unknown."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lehr.schedules import Constant, Cosine
from lehr.space import Range, Space
from lehr.wire.search_methods import PRUNERS
from service.forecast.fitted_curves import rates_of
from service.forecast.forecaster import Doubt, Forecast, Forecaster
from service.forecast.suggestion import suggest
from service.search.gaussian_process import GaussianProcess, fit, fit_theta
from service.search.law import LossCurve, NoLawError, fit_law
from service.search.observations import Observation
from service.search.portfolio import Known, portfolio
from service.search.pruners.base import Curve, CurvePruner
from service.search.pruners.wilcoxon import is_hopeless
from service.search.registry import curve_pruner
from service.search.samplers.surrogate import PRIOR
from service.search.samplers.within_family import penalised

HORIZON = 40
EDGES = [0.0, 5e-324, 1e-308, 1e-170, 1e-5, 1.0, 1e30, 1e100, 1e101, 1e154, 1e155, 1e160, 1e308, sys.float_info.max]
LOSSES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([*EDGES, *(-edge for edge in EDGES)])
)
TAKEN = st.one_of(st.floats(-1e100, 1e100), st.sampled_from([edge for edge in EDGES if edge <= 1e100]))
RATES = st.one_of(st.floats(1e-6, 10), st.floats(5e-324, 1e100), st.sampled_from([5e-324, 1e-300, 1e-6, 1e100]))


def curve(rate: float, losses: Sequence[float]) -> LossCurve:
    grid, rates = rates_of(Cosine(start_lr=rate, end_lr=rate / 10), HORIZON)
    steps = np.linspace(HORIZON / len(losses), HORIZON, len(losses)).round() - 1
    return LossCurve(grid, rates, steps, np.array(losses))


def assert_law(curves: Sequence[LossCurve]) -> None:
    try:
        law = fit_law(curves)
    except NoLawError:
        return
    assert all(map(math.isfinite, (law.floor, law.reach, law.heat, law.decay, law.patience)))


@given(st.lists(st.tuples(RATES, st.lists(LOSSES, min_size=1, max_size=6)), min_size=1, max_size=6))
def test_a_law_has_finite_constants_or_there_is_none(curves: list[tuple[float, list[float]]]) -> None:
    assert_law([curve(rate, losses) for rate, losses in curves])


@given(st.lists(st.tuples(RATES, st.lists(TAKEN, min_size=1, max_size=6)), min_size=1, max_size=6))
def test_so_it_is_of_what_the_wire_takes(curves: list[tuple[float, list[float]]]) -> None:
    assert_law([curve(rate, losses) for rate, losses in curves])


def assert_told(told: Forecast | Doubt) -> None:
    if isinstance(told, Forecast):
        assert all(map(math.isfinite, (told.value, told.low, told.high)))


@given(
    st.lists(st.tuples(RATES, st.lists(TAKEN, min_size=3, max_size=3)), min_size=5, max_size=8),
    st.lists(TAKEN, min_size=1, max_size=3),
    st.sampled_from([10, 40, 80]),
)
def test_forecasts_are_finite_or_doubted(
    trained: list[tuple[float, list[float]]], reported: list[float], horizon: int
) -> None:
    forecaster = Forecaster.of([curve(rate, losses) for rate, losses in trained], HORIZON)
    if isinstance(forecaster, Doubt):
        return
    assert math.isfinite(forecaster.error)
    rate = trained[0][0]
    assert_told(forecaster.foresee(*rates_of(Constant(start_lr=rate, end_lr=rate), horizon)))
    running = curve(rate, [0.0, 0.0, 0.0])
    count = len(reported)
    assert_told(forecaster.follow(LossCurve(running.grid, running.rates, running.steps[:count], np.array(reported))))


def test_eight_trials_of_1e308_and_small_losses_are_doubted_and_end_no_process() -> None:
    """A segmentation fault in scipy's nnls, once."""
    curves = [curve(1e-3 * 2**at, [2.0, 1.0, 1e308 if at % 2 else 1e-5]) for at in range(8)]
    told = Forecaster.of(curves, HORIZON)
    assert isinstance(told, Doubt)
    assert told.code == "law_misfits"
    assert "1e+100" in told.message


def test_a_training_of_one_step_has_no_law() -> None:
    grid, rates = rates_of(Constant(start_lr=0.1, end_lr=0.1), 1)
    told = Forecaster.of([LossCurve(grid, rates, grid, np.array([float(at)])) for at in range(6)], 1)
    assert isinstance(told, Doubt)
    assert told.code == "law_misfits"


def test_where_nothing_was_reported_in_the_first_half_the_same_horizon_is_foreseen_all_the_same() -> None:
    space = Space.of(families=["cosine"], start_lr=Range(1e-3, 1.0))
    curves = []
    for at in range(8):
        rate = 1e-3 * 2**at
        grid, rates = rates_of(Cosine(start_lr=rate, end_lr=rate / 10), HORIZON)
        curves.append(LossCurve(grid, rates, grid[-3:], 1 + 1e-3 / rate * np.array([1.2, 1.1, 1.0])))
    found = Forecaster.of(curves, HORIZON)
    assert isinstance(found, Forecaster)
    assert found.drift is None
    told = [found.foresee(*rates_of(Cosine(start_lr=0.01, end_lr=0.001), horizon)) for horizon in (40, 80)]
    assert isinstance(told[1], Doubt)
    for one in told:
        assert_told(one)
    assert_told(found.follow(curves[0]))
    suggest(found, space)


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=2, max_size=30), st.data())
def test_a_process_of_any_scores_is_finite(points: list[list[float]], data: st.DataObject) -> None:
    scores = np.array(data.draw(st.lists(st.floats(-10, 10), min_size=len(points), max_size=len(points))))
    known = np.array(points)
    theta = fit_theta(known, scores, PRIOR)
    assert np.isfinite(theta).all()
    mean, deviation = GaussianProcess.of(known, scores, theta).predict(known)
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()


def test_a_process_of_what_is_no_number_is_refused_before_lapack_sees_it() -> None:
    points, scores = np.eye(3), np.array([1.0, math.nan, 2.0])
    with pytest.raises(ValueError, match="NaN"):
        GaussianProcess.of(points, scores, np.zeros(5))
    with pytest.raises(ValueError, match="NaN"):
        fit_theta(points, scores, PRIOR)
    assert fit(points, scores, PRIOR) is None


@given(st.lists(st.lists(LOSSES | st.just(math.inf), min_size=1, max_size=20), min_size=1, max_size=3))
def test_a_portfolio_is_chosen_from_studies_with_any_losses(studies: list[list[float]]) -> None:
    points = {key: np.array([key / 40, 0.5]) for key in range(20)}
    chosen = portfolio([Known(1.0, dict(enumerate(losses))) for losses in studies], points, 5)
    assert len(set(chosen)) == len(chosen) <= 5


@given(
    st.lists(st.tuples(st.sampled_from(["COMPLETED", "PRUNED", "DIVERGED"]), LOSSES), min_size=1, max_size=20),
    st.sampled_from(["minimize", "maximize"]),
)
def test_what_samplers_are_told_is_finite_and_its_squares_are(results: list[tuple[str, float]], direction: str) -> None:
    told = [
        Observation(at, "constant", {}, state, value if state == "COMPLETED" else None, ((0, value),))
        for at, (state, value) in enumerate(results)
    ]
    losses = penalised(told, direction)
    assert losses.keys() == set(range(len(results)))
    assert all(math.isfinite(loss * loss) for loss in losses.values())


@given(
    st.sampled_from([pruner for name in PRUNERS if (pruner := curve_pruner(name))]),
    st.lists(st.lists(LOSSES, min_size=1, max_size=4), min_size=2, max_size=12),
    st.sampled_from(["minimize", "maximize"]),
)
def test_pruners_judge_any_reports(pruner: CurvePruner, curves: list[list[float]], direction: str) -> None:
    schedule = Constant(start_lr=0.1, end_lr=0.1)
    known = [
        Curve(number, schedule, "COMPLETED" if number else "RUNNING", tuple((10 * at, one) for at, one in pairs))
        for number, pairs in enumerate(map(enumerate, curves))
    ]
    assert pruner.should_prune(known[0], known[1:], horizon_steps=HORIZON, direction=direction) in (True, False)


@given(st.lists(LOSSES, min_size=1, max_size=12), st.lists(LOSSES, min_size=1, max_size=12))
def test_the_wilcoxon_test_judges_any_evaluations(losses: list[float], best: list[float]) -> None:
    assert is_hopeless(dict(enumerate(losses)), dict(enumerate(best))) in (True, False)

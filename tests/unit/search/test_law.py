"""The law of the schedule recovers its own constants, and predicts curves that it was not fitted to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

from service.search.law import GAMMA, Law, LossCurve, fit_law

GRID = np.linspace(0.0, 999.0, 400)
TRUE = Law(floor=0.5, reach=0.8, decay=0.5, heat=0.3, patience=0.05, reference=0.1, span=100.0)
SHAPES = {
    "constant": np.full(400, 0.1),
    "linear": np.linspace(0.1, 0.001, 400),
    "two stages": np.where(GRID < 500, 0.1, 0.02),
    "cosine": 0.05 * (1 + np.cos(np.pi * GRID / 999)) + 1e-4,
}


def curve(name: str, noise: float = 0.0) -> LossCurve:
    steps = GRID[20::4]
    losses = TRUE.predict(GRID, SHAPES[name], steps)
    return LossCurve(GRID, SHAPES[name], steps, losses + noise * np.random.default_rng(3).standard_normal(len(steps)))


def test_the_law_fitted_on_three_schedules_foresees_the_fourth() -> None:
    law = fit_law([curve(name, 0.002) for name in ("constant", "linear", "two stages")])
    held_out = curve("cosine")
    assert np.abs(law.predict(GRID, SHAPES["cosine"], held_out.steps) - held_out.losses).max() < 0.01


def test_a_constant_rate_has_the_loss_that_integration_by_hand_gives() -> None:
    rate, step = 0.1, 600.0
    area = quad(lambda _: rate, 0, step)[0]
    passed = area * (rate / TRUE.reference) ** -GAMMA / (TRUE.patience * TRUE.span)
    expected = TRUE.floor + TRUE.reach * (area / TRUE.span) ** -TRUE.decay + TRUE.heat * passed / (1 + passed)
    found = TRUE.predict(GRID, SHAPES["constant"], np.array([step]))[0]
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_hot_training_gets_better_by_cooling() -> None:
    end, hot = GRID[-1:], replace(TRUE, heat=2.0)
    assert hot.predict(GRID, SHAPES["two stages"], end)[0] < hot.predict(GRID, SHAPES["constant"], end)[0]


def test_a_law_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one loss"):
        fit_law([])

"""What is put in the place of Optuna's own normal distribution is the same function."""

from __future__ import annotations

import math

import numpy as np
import pytest
from optuna.samplers._tpe import _truncnorm
from scipy.special import erf, log_ndtr

import service.search.optuna_study  # noqa: F401 - puts them in


def test_scipys_functions_equal_optunas_over_all_that_a_draw_asks_for() -> None:
    assert vars(_truncnorm)["_log_ndtr"] is log_ndtr
    points = np.concatenate([np.linspace(-40, 40, 4001), -np.logspace(0, 4, 200)])
    assert log_ndtr(points) == pytest.approx([_truncnorm._log_ndtr_single(float(x)) for x in points], rel=1e-12)
    assert erf(points) == pytest.approx([math.erf(x) for x in points], rel=1e-14)


def test_optunas_truncated_normal_draws_through_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counting(values: np.ndarray) -> np.ndarray:
        asked.append(values.size)
        return np.asarray(log_ndtr(values))

    monkeypatch.setattr(_truncnorm, "_log_ndtr", counting)
    drawn = _truncnorm.rvs(
        np.array([-3.0]), np.array([-1.0]), np.array([0.0]), np.array([1.0]), np.random.RandomState(0)
    )
    assert -3.0 <= drawn[0] <= -1.0
    assert asked

"""The Wilcoxon pruner agrees with Optuna's."""

from __future__ import annotations

import warnings

import numpy as np
import optuna
import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.trial import create_trial

from service.search.pruners.wilcoxon import P_THRESHOLD, STARTUP_EVALUATIONS, is_hopeless
from service.search.registry import check_pruner

optuna.logging.set_verbosity(optuna.logging.ERROR)


def optunas_decision(values: dict[int, float], best: dict[int, float], direction: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        pruner = optuna.pruners.WilcoxonPruner(p_threshold=P_THRESHOLD, n_startup_steps=STARTUP_EVALUATIONS)
    study = optuna.create_study(direction=direction, pruner=pruner)
    mean = float(np.mean(list(best.values())))
    study.add_trial(create_trial(value=mean, intermediate_values=best))
    trial = study.ask()
    for step, value in values.items():
        trial.report(value, step)
    return trial.should_prune()


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("seed", range(6))
def test_it_decides_as_optuna_does(direction: str, seed: int) -> None:
    draw = np.random.default_rng(seed)
    sign = 1.0 if direction == "minimize" else -1.0
    decisions = []
    for _ in range(25):
        count = int(draw.integers(2, 12))
        # Coarse values: equal ones and ties of differences are common, as among accuracies.
        best = {index: round(float(draw.normal(0.5, 0.1)), 2) for index in range(count)}
        done = sorted(draw.choice(count, size=int(draw.integers(1, count + 1)), replace=False).tolist())
        shift = draw.choice([0.0, 0.05, 0.3])
        values = {index: round(best[index] + sign * float(draw.normal(shift, 0.05)), 2) for index in done}
        ours = is_hopeless(
            {index: sign * value for index, value in values.items()},
            {index: sign * value for index, value in best.items()},
        )
        assert ours == optunas_decision(values, best, direction), (values, best)
        decisions.append(ours)
    assert any(decisions)
    assert not all(decisions)


def test_equal_values_condemn_nobody() -> None:
    same = dict.fromkeys(range(8), 0.5)
    assert not is_hopeless(same, same)


def test_three_folds_never_tell_and_four_do() -> None:
    best = dict.fromkeys(range(4), 0.1)
    worse = {index: 0.9 + 0.01 * index for index in range(4)}
    assert not is_hopeless({index: worse[index] for index in range(3)}, best)
    assert is_hopeless(worse, best)


def test_wilcoxon_needs_several_evaluations_and_the_others_a_single_one() -> None:
    fault = check_pruner("wilcoxon", 1)
    assert fault is not None
    assert "objective.folds" in fault.remedy
    assert check_pruner("wilcoxon", 2) is None
    fault = check_pruner("median", 5)
    assert fault is not None
    assert "wilcoxon" in fault.bound
    assert check_pruner("none", 5) is None

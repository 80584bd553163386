"""A draw by TPE equals that of an Optuna study with the same trials, regardless of earlier draws."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial

from service.search import optuna_study

FAMILY = CategoricalDistribution(("constant", "cosine", "one_cycle"))
RATE = FloatDistribution(1e-4, 1.0, log=True)
SHARE = FloatDistribution(0.0, 1.0)
SPACES: Mapping[str, dict[str, BaseDistribution]] = {
    "a choice": {"family": FAMILY},
    "a choice and rates": {"end": SHARE, "family": FAMILY, "rate": RATE},
    "whole numbers": {"drops": IntDistribution(1, 5), "rate": RATE},
    "a single value": {"end": FloatDistribution(0.5, 0.5), "rate": RATE},
}


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
@pytest.mark.parametrize("count", [4, 40])
def test_a_draw_is_what_an_optuna_study_with_the_same_trials_asks_for(space: dict[str, Any], count: int) -> None:
    trials = _trials(space, count)
    study = optuna.create_study(
        sampler=TPESampler(n_startup_trials=0, multivariate=True, constant_liar=True, seed=count)
    )
    study.add_trials(trials)
    assert optuna_study.draw_tpe(trials, space, count, seed=count) == study.ask(space).params


def test_a_draw_depends_on_neither_the_draws_before_it_nor_global_generators() -> None:
    space = SPACES["a choice and rates"]
    trials = _trials(space, 30)
    first = optuna_study.draw_tpe(trials, space, 30, seed=5)
    random.seed(1)
    optuna_study.draw_tpe(trials[:20], space, 20, seed=6)
    assert optuna_study.draw_tpe(trials, space, 30, seed=5) == first
    assert optuna_study.draw_tpe(trials, space, 30, seed=6) != first


def _trials(space: Mapping[str, BaseDistribution], count: int) -> list[FrozenTrial]:
    """Trials that ended in every way there is, and a few that still run."""
    generator = random.Random(count)
    return [_trial(number, space, generator, still_runs=number % 5 == 3) for number in range(count)]


def _trial(
    number: int, space: Mapping[str, BaseDistribution], generator: random.Random, *, still_runs: bool
) -> FrozenTrial:
    params, kind = {name: _value(one, generator) for name, one in space.items()}, generator.random()
    if still_runs:
        return optuna_study.running(number, params, space)
    if kind < 0.1:
        return optuna_study.infeasible(number, params, space, kind)
    if kind < 0.3:
        return optuna_study.pruned(number, params, space, {generator.randrange(9): generator.random()})
    return optuna_study.complete(number, params, space, generator.random())


def _value(one: Any, generator: random.Random) -> Any:
    if isinstance(one, CategoricalDistribution):
        return generator.choice(one.choices)
    if isinstance(one, IntDistribution):
        return generator.randint(one.low, one.high)
    # Bounds are drawn, too: a constant ends at its top.
    between = one.low * (one.high / one.low) ** generator.random() if one.log else generator.uniform(one.low, one.high)
    return generator.choice([one.low, one.high, between, between, between])

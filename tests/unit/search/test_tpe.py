"""What is kept between draws changes none of them: they are those of Optuna's own sampler, to the last bit."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
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
    "a choice and rates": {"family": FAMILY, "rate": RATE, "end": SHARE},
    "three numbers and two choices": {"a": SHARE, "family": FAMILY, "b": RATE, "kind": FAMILY, "c": SHARE},
    "whole numbers": {"drops": IntDistribution(1, 5), "rate": RATE},
    "a single value": {"rate": RATE, "end": FloatDistribution(0.5, 0.5)},
    "a value alone": {"rate": RATE},
}


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
@pytest.mark.parametrize("seed", range(2))
def test_each_draw_of_a_growing_search_is_that_of_optunas_sampler(space: dict[str, Any], seed: int) -> None:
    tpe = optuna_study.Tpe(space)
    for trials in _growing_search(space, random.Random(seed)):
        assert tpe.draw(trials, 1000 + len(trials)) == _by_optuna(trials, space, 1000 + len(trials))


def test_trials_that_lack_a_part_of_the_space_count_among_the_good_ones_but_are_drawn_from_by_none() -> None:
    space = SPACES["a choice and rates"]
    generator = random.Random(0)
    trials = [_ended(number, {**space, "end": SHARE}, generator, value=float(number)) for number in range(30)]
    for trial in trials[:15]:
        del trial.params["end"], trial.distributions["end"]
    assert optuna_study.Tpe(space).draw(trials, 5) == _by_optuna(trials, space, 5)


def test_a_draw_does_not_depend_on_those_before_it() -> None:
    space = SPACES["a choice and rates"]
    last = [list(trials) for trials in _growing_search(space, random.Random(7))][-1]
    used = optuna_study.Tpe(space)
    for trials in _growing_search(space, random.Random(8)):
        used.draw(trials, 3)
    assert used.draw(last, 3) == optuna_study.Tpe(space).draw(last, 3)


def _growing_search(space: dict[str, BaseDistribution], generator: random.Random) -> Iterator[list[FrozenTrial]]:
    """A search whose trials start, four at a time, and end in every way there is, not in the order of their start."""
    trials: dict[int, FrozenTrial] = {}
    for number in range(0, 48, 4):
        for one in range(number, number + 4):
            trials[one] = optuna_study.running(one, _params(space, generator), space)
            if one % 4 != 1:
                yield [trials[each] for each in sorted(trials)]
        waiting = [one for one, trial in trials.items() if trial.state.name == "RUNNING"]
        for one in generator.sample(waiting, 3):
            trials[one] = _ended(one, space, generator)


def _ended(
    number: int, space: dict[str, BaseDistribution], generator: random.Random, value: float | None = None
) -> FrozenTrial:
    params, kind = _params(space, generator), generator.random()
    if value is None and kind < 0.1:
        return optuna_study.infeasible(number, params, space, kind)
    if value is None and kind < 0.3:
        return optuna_study.pruned(number, params, space, {generator.randrange(9): generator.random()})
    return optuna_study.complete(number, params, space, generator.random() if value is None else value)


def _params(space: dict[str, BaseDistribution], generator: random.Random) -> dict[str, Any]:
    return {name: _value(one, generator) for name, one in space.items()}


def _value(one: Any, generator: random.Random) -> Any:
    if isinstance(one, CategoricalDistribution):
        return generator.choice(one.choices)
    if isinstance(one, IntDistribution):
        return generator.randint(one.low, one.high)
    # Bounds are drawn, too: a constant ends at its top.
    between = one.low * (one.high / one.low) ** generator.random() if one.log else generator.uniform(one.low, one.high)
    return generator.choice([one.low, one.high, between, between, between])


def _by_optuna(trials: list[FrozenTrial], space: dict[str, Any], seed: int) -> dict[str, Any]:
    study = optuna.create_study()
    study.add_trials([*trials, optuna_study.running(len(trials), {}, {})])
    sampler = TPESampler(n_startup_trials=0, multivariate=True, constant_liar=True, seed=seed)
    free = {name: one for name, one in space.items() if not one.single()}
    only = {name: one.low for name, one in space.items() if one.single()}
    return only | sampler.sample_relative(study, study.trials[-1], free)

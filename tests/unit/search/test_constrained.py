"""Samplers with constraints spend their trials where these hold."""

from __future__ import annotations

import math

import pytest

from lehr.schedules import Schedule
from service.search.observations import Observation, rank
from service.search.searcher import Searcher
from tests.unit.search.landscape import SPACE, loss

TRIALS = 60


def excess(schedule: Schedule) -> float:
    """A constraint that the best highest rate of the landscape breaks: at most a hundredth."""
    return math.log10(schedule.max_lr) + 2


def search(sampler: str, trials: int, seed: int, *, told: bool) -> list[Schedule]:
    """The schedules tried; whether the searcher is told of the constraint."""
    searcher = Searcher(SPACE, "minimize", sampler, seed, trials_budget=trials)
    tried = []
    for number in range(trials):
        asked = searcher.ask(number)
        tried.append(asked.schedule)
        found = excess(asked.schedule) if told else None
        searcher.tell(
            Observation(number, asked.schedule.family, asked.point, "COMPLETED", loss(asked.schedule), violation=found)
        )
    return tried


def kept(tried: list[Schedule]) -> list[float]:
    return [loss(one) for one in tried if excess(one) <= 0]


@pytest.mark.parametrize(("sampler", "trials"), [("tpe", TRIALS), ("cmaes", TRIALS)])
def test_more_trials_keep_to_a_constraint_that_the_sampler_knows(sampler: str, trials: int) -> None:
    seeds = range(3)
    known, unknown = ([kept(search(sampler, trials, seed, told=told)) for seed in seeds] for told in (True, False))
    counts = [sum(map(len, each)) for each in (known, unknown)]
    assert counts[0] > 1.3 * counts[1], f"trials that keep to it, told and not: {counts}"
    if sampler == "tpe":
        best = [sum(min(each) for each in one) / len(one) for one in (known, unknown)]
        assert best[0] < best[1], f"best that keeps to it, told and not: {best}"


def test_what_broke_a_constraint_ranks_behind_what_kept_to_it_and_before_what_diverged() -> None:
    def observed(state: str, value: float | None, violation: float | None) -> Observation:
        return Observation(0, "constant", {}, state, value, violation=violation)

    ordered = [
        observed("COMPLETED", 9.0, -0.1),
        observed("PRUNED", None, None),
        observed("COMPLETED", 5.0, 0.1),
        observed("COMPLETED", 1.0, 1e9),
        observed("DIVERGED", None, None),
    ]
    assert sorted(ordered, key=lambda one: rank(one, "minimize")) == ordered

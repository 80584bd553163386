"""The search over shorter horizons of `benchmarks/fidelity` keeps to its steps and finds the drift."""

from __future__ import annotations

import math
import random

import pytest

from benchmarks.fidelity.horizons import PLANS, WORST, Plan, Trial, fitted_drift, search, transferred
from lehr.schedules import Schedule, schedule_from_dict


def _cosine(top: float) -> Schedule:
    return schedule_from_dict({"family": "cosine", "start_lr": top, "end_lr": top / 100})


def _trials(drift: float, count: int = 40) -> list[Trial]:
    """A valley in the log rate whose bottom lies at 0.2 times the horizon to the -drift-th, told with noise."""
    drawn = random.Random(1)
    found = []
    for part in (0.25, 0.5):
        for _ in range(count):
            top = 10 ** drawn.uniform(-2.5, 0)
            away = math.log(top / (0.2 * part**-drift))
            found.append(Trial(part, _cosine(top), 0.5 * part**-0.3 * math.exp(0.1 * away**2 + drawn.gauss(0, 0.01))))
    return found


@pytest.mark.parametrize("drift", [0.0, 0.4, 0.8])
def test_the_drift_of_the_best_rate_is_read_from_the_losses_of_two_horizons(drift: float) -> None:
    assert fitted_drift(_trials(drift)) == pytest.approx(drift, abs=0.1)


def test_no_drift_is_found_where_every_trial_diverged() -> None:
    trials = [Trial(part, _cosine(top), WORST) for part in (0.25, 0.5) for top in (0.1, 0.3, 0.9)]
    assert fitted_drift(trials) == 0.0


def test_a_schedule_that_goes_on_keeps_its_shape_at_a_lower_rate() -> None:
    moved = transferred(_cosine(0.4), 0.5)
    assert moved.max_lr == pytest.approx(0.4 / math.sqrt(2))
    assert moved.lr_at(0.5) / moved.max_lr == pytest.approx(_cosine(0.4).lr_at(0.5) / 0.4)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
@pytest.mark.parametrize("budget", [10, 40])
def test_each_plan_spends_its_steps_and_no_more(plan: Plan, budget: int) -> None:
    searching = search(plan, budget, seed=3, given=0.5)
    steps, asked = 0.0, next(searching)
    try:
        while True:
            part, schedule = asked
            steps += part
            asked = searching.send(abs(math.log10(schedule.max_lr) + 1))
    except StopIteration as end:
        found = end.value
    assert budget - 1 <= steps <= budget
    assert len(found.finalists) == 3

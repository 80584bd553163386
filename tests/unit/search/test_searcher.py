"""Laws of the search that hold for every sampler: start-up, baseline, determinism, learning."""

from __future__ import annotations

import json
import math
import random
import statistics
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lehr.schedules import Cosine, Schedule
from lehr.space import Range, Space
from lehr.space.equality import is_among
from lehr.wire.search_methods import SAMPLERS
from lehr.wire.trials import TrialState
from service.search.observations import Observation
from service.search.registry import available_samplers, check_sampler, sampler_class
from service.search.samplers.gp import GpSampler
from service.search.searcher import Searcher, startup_trials
from tests.unit.search.landscape import FAMILIES, SPACE, WARMED_SPACE, loss, run_search

LEARNING = [name for name in SAMPLERS if sampler_class(name).learns]
STATES: tuple[TrialState, ...] = ("RUNNING", "COMPLETED", "PRUNED", "DIVERGED", "FAILED", "CANCELLED")


def searcher(sampler: str = "tpe", *, seed: int = 0, budget: int = 60, space: Space = SPACE) -> Searcher:
    return Searcher(space, "minimize", sampler, seed, trials_budget=budget)


def best(told: list[Observation]) -> float:
    return min(one.value for one in told if one.value is not None)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_family_gets_a_trial_and_constant_comes_first(sampler: str) -> None:
    told = run_search(searcher(sampler, budget=len(FAMILIES)), len(FAMILIES))
    assert {one.family for one in told} == set(FAMILIES)
    assert told[0].family == "constant"


@pytest.mark.parametrize("sampler", ["tpe", "surrogate", "random", "cmaes"])
def test_constant_keeps_its_share_though_it_is_the_worst_family(sampler: str) -> None:
    trials = 72
    told = run_search(searcher(sampler, budget=trials), trials)
    for count in range(12, trials, 12):
        assert sum(one.family == "constant" for one in told[:count]) >= count // len(FAMILIES)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("space", [SPACE, WARMED_SPACE], ids=["plain", "warmed"])
def test_the_same_seed_asks_the_same_trials_and_another_seed_others(sampler: str, space: Space) -> None:
    trials = 13 if sampler == "gp" else 45
    first = run_search(searcher(sampler, seed=3, budget=trials, space=space), trials)
    assert run_search(searcher(sampler, seed=3, budget=trials, space=space), trials) == first
    other = run_search(searcher(sampler, seed=4, budget=trials, space=space), trials)
    assert [one.point for one in other] != [one.point for one in first]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_searcher_rebuilt_from_stored_rows_goes_on_as_the_warm_one(sampler: str) -> None:
    trials = 14 if sampler == "gp" else 50
    warm = searcher(sampler, budget=trials + 3)
    told = run_search(warm, trials)
    rows = json.loads(json.dumps([dict(one.point or {}) for one in told]))
    rebuilt = searcher(sampler, budget=trials + 3)
    for one, point in reversed(list(zip(told, rows, strict=True))):
        rebuilt.tell(Observation(one.number, one.family, point, one.state, one.value))
    for number in range(trials, trials + 3):
        assert rebuilt.ask(number) == warm.ask(number)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_history_rebuilt_in_any_order_asks_the_same(data: st.DataObject) -> None:
    warm = searcher(budget=60)
    latest: dict[int, Observation] = {}
    for number in range(data.draw(st.integers(1, 40), label="trials")):
        suggestion = warm.ask(number)
        state = data.draw(st.sampled_from(STATES))
        value = loss(suggestion.schedule) if state == "COMPLETED" else None
        reports = ((5, loss(suggestion.schedule) + 1),) if state == "PRUNED" else ()
        latest[number] = Observation(number, suggestion.schedule.family, suggestion.point, state, value, reports)
        warm.tell(latest[number])
    rows = list(latest.values())
    data.draw(st.randoms(use_true_random=False)).shuffle(rows)
    rebuilt = searcher(budget=60)
    for row in rows:
        rebuilt.tell(row)
        rebuilt.tell(row)
    assert rebuilt.ask(100) == warm.ask(100)


def test_another_process_asks_the_same_whatever_its_hash_seed_and_global_generators() -> None:
    random.seed(1)
    code = (
        "import random; random.seed(2)\n"
        "from tests.unit.search.landscape import *\n"
        "searcher = Searcher(SPACE, 'minimize', 'tpe', 5, trials_budget=50)\n"
        "print([one.point for one in run_search(searcher, 50)])"
    )
    here = [one.point for one in run_search(searcher(seed=5, budget=50), 50)]
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
    )
    assert there.stdout.strip() == str(here)
    assert there.stderr == ""


@pytest.mark.parametrize("sampler", ["tpe", "surrogate", "cmaes"])
def test_a_model_finds_better_schedules_than_random_draws_do(sampler: str) -> None:
    seeds, trials = range(8), 60
    found = statistics.mean(best(run_search(searcher(sampler, seed=seed), trials)) for seed in seeds)
    drawn = statistics.mean(best(run_search(searcher("random", seed=seed), trials)) for seed in seeds)
    assert found < 0.6 * drawn, f"seeds {seeds}: {sampler} {found:.4f}, random {drawn:.4f}"


def test_a_gaussian_process_finds_better_schedules_than_random_draws_do() -> None:
    seeds, trials = range(1), 30
    found = statistics.mean(best(run_search(searcher("gp", seed=seed, budget=trials), trials)) for seed in seeds)
    drawn = statistics.mean(best(run_search(searcher("random", seed=seed, budget=trials), trials)) for seed in seeds)
    assert found < 0.6 * drawn, f"seeds {seeds}: gp {found:.4f}, random {drawn:.4f}"


@pytest.mark.parametrize("sampler", ["qmc", "grid"])
def test_an_even_spread_is_no_worse_than_random_draws(sampler: str) -> None:
    seeds, trials = range(8), 120
    found = statistics.mean(best(run_search(searcher(sampler, seed=seed, budget=trials), trials)) for seed in seeds)
    drawn = statistics.mean(best(run_search(searcher("random", seed=seed, budget=trials), trials)) for seed in seeds)
    assert found < 1.5 * drawn, f"seeds {seeds}: {sampler} {found:.4f}, random {drawn:.4f}"


@pytest.mark.parametrize("sampler", LEARNING)
def test_rates_that_diverge_are_tried_less(sampler: str) -> None:
    def judge(schedule: Schedule) -> float | None:
        return None if schedule.max_lr > 0.01 else (math.log10(schedule.max_lr) + 3) ** 2

    trials = 24 if sampler == "gp" else 60
    told = run_search(searcher(sampler, budget=trials), trials, judge)
    before, after = told[: trials // 3], told[trials // 3 :]
    share = [sum(one.state == "DIVERGED" for one in part) / len(part) for part in (before, after)]
    assert share[1] < 0.75 * share[0], f"diverged before and after: {share}"


def test_a_search_in_which_everything_diverges_moves_towards_low_rates() -> None:
    seen: list[float] = []
    run_search(searcher(budget=45), 45, lambda schedule: seen.append(schedule.max_lr))
    assert statistics.geometric_mean(seen[15:]) < 0.3 * statistics.geometric_mean(seen[:15])


def test_parallel_asks_spread() -> None:
    one = searcher(budget=100)
    run_search(one, 50)
    batch = [one.ask(number).schedule for number in range(50, 66)]
    assert len(set(batch)) == 16


def test_failed_and_cancelled_trials_teach_nothing_but_count_as_asked() -> None:
    failing = searcher(budget=60)
    for number in range(30):
        suggestion = failing.ask(number)
        failing.tell(Observation(number, suggestion.schedule.family, suggestion.point, "FAILED", None))
    following = failing.ask(30)
    assert Counter(failing._asked) == Counter(dict.fromkeys(FAMILIES, 5)) + Counter([following.schedule.family])


def test_a_schedule_outside_the_space_takes_part_without_a_point() -> None:
    one = searcher(budget=60)
    one.tell(Observation(0, "unheard_of", None, "COMPLETED", 0.0))
    assert one.ask(1).schedule.family == "constant"


def test_a_forgotten_ask_is_asked_again() -> None:
    for sampler in ("tpe", "grid", "qmc"):
        one = searcher(sampler)
        run_search(one, 8)
        asked = one.ask(8)
        one.forget(8)
        assert one.ask(8) == asked


def test_a_number_is_asked_once() -> None:
    one = searcher()
    one.ask(0)
    with pytest.raises(ValueError, match="trial 0"):
        one.ask(0)


def test_a_pending_trial_told_with_another_point_is_that_trial_from_then_on() -> None:
    one, other = searcher(), searcher()
    one.ask(0)
    users = Observation(0, "linear", SPACE.point(other.ask(0).schedule) | {"end_position": 0.5}, "RUNNING", None)
    one.tell(users)
    fresh = searcher()
    fresh.tell(users)
    assert one.ask(1) == fresh.ask(1)


def test_start_up_spreads_over_a_third_of_the_budget_at_most_unless_there_are_more_families() -> None:
    assert startup_trials(6, 30) == 10
    assert startup_trials(6, 300) == 12
    assert startup_trials(11, 24) == 11
    assert startup_trials(11, 5) == 5
    assert startup_trials(1, 300) == 10


def test_the_samplers_that_can_run_here_are_known() -> None:
    assert set(SAMPLERS) - {"gp"} <= set(available_samplers()) <= set(SAMPLERS)
    assert check_sampler("tpe") is None


def test_without_its_packages_a_sampler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GpSampler, "packages", ("no_torch",))
    fault = check_sampler("gp")
    assert fault is not None
    assert fault.field == "sampler.name"
    assert "no_torch" in fault.message
    assert "gp" not in fault.bound


def test_pruned_trials_inform_the_sampler() -> None:
    """Where all high rates were given up, it asks for fewer of them than where they failed and told nothing."""
    shares = {}
    for state in ("PRUNED", "FAILED"):
        high = []
        for seed in range(4):
            asking = searcher(seed=seed, budget=80)
            for number in range(80):
                asked = asking.ask(number)
                given_up = asked.schedule.max_lr > 0.05
                reports = ((5, 9.0),) if given_up else ((5, 1.0), (99, 1.0))
                ended: TrialState = state if given_up else "COMPLETED"
                value = None if given_up else 1.0
                asking.tell(Observation(number, asked.schedule.family, asked.point, ended, value, reports))
                high += [given_up] if number >= 30 else []
        shares[state] = statistics.fmean(high)
    assert shares["PRUNED"] < shares["FAILED"] / 2, shares


@pytest.mark.parametrize("sampler", ["tpe", "surrogate", "random", "qmc"])
def test_no_schedule_is_tried_twice_while_others_are_left(sampler: str) -> None:
    space = Space.of(families=["step"], start_lr=Range(0.1, 0.1), end_lr=Range(1e-3, 1e-3))
    told = run_search(searcher(sampler, budget=12, space=space), 12)
    drops = [one.point["step.drops"] for one in told if one.family == "step" and one.point is not None]
    assert len(set(drops)) == min(len(drops), 6)


@pytest.mark.parametrize("beside", [1 - 1e-12, 1.0, 1 + 1e-12])
def test_what_was_tried_at_a_bound_within_rounding_is_not_suggested_again(beside: float) -> None:
    space = Space.of(families=["cosine"], start_lr=Range(0.1, 0.1), end_lr=Range(1e-6, 1e-2))
    tried = Cosine(start_lr=0.1, end_lr=1e-6 * beside)
    asking = searcher("grid", budget=8, space=space)
    asking.tell(Observation(0, "cosine", space.point(tried), "COMPLETED", 0.5))
    suggested = [asking.ask(number).schedule for number in range(1, 6)]
    assert not is_among(tried, suggested)
    assert len({schedule.end_lr for schedule in suggested if schedule.family == "cosine"}) >= 2

"""The confirmation plan: its cost, that it ends, and that its values are unbiased."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lehr.schedules import Constant, Cosine, Linear, Schedule
from lehr.space import Space
from service.answer.finalists import SearchTrial
from service.answer.plan import Plan, Run
from service.answer.recommendation import recommendation
from service.answer.statistics import paired_gain

SPACE = Space.of()


def trial(number: int, value: float, schedule: Schedule | None = None) -> SearchTrial:
    return SearchTrial(number, schedule or Cosine(start_lr=0.1 + number, end_lr=0.01), "COMPLETED", value)


def constant(number: int, value: float) -> SearchTrial:
    return trial(number, value, Constant(start_lr=0.1 + number, end_lr=0.1 + number))


def play(
    plan: Plan, value_of: dict[int, float], generator: np.random.Generator, noise: float
) -> tuple[Plan, list[Run]]:
    """Run the whole confirmation on schedules of known means; losses are minimised."""
    losses: dict[int, dict[int, float]] = {}
    done: list[Run] = []
    while True:
        plan, runs = Plan.from_json(json.loads(json.dumps(plan.to_json()))).next(losses)
        if not runs:
            return plan, done
        done += runs
        for run in runs:
            losses.setdefault(run.number, {})[run.seed] = value_of[run.number] + noise * generator.normal()


@pytest.mark.parametrize(("top", "seeds"), [(1, 2), (2, 3), (3, 5), (8, 4)])
@pytest.mark.parametrize("count", [1, 2, 6])
def test_a_confirmation_ends_within_its_stated_budget(top: int, seeds: int, count: int) -> None:
    generator = np.random.default_rng(top * 100 + seeds)
    trials = [constant(0, 0.5), *(trial(number, 0.5 - 0.01 * number) for number in range(1, count))]
    plan = Plan.of(trials, "minimize", SPACE, top=top, seeds=seeds, search_seed=3)
    planned = plan.runs_to_come
    assert planned <= (min(top, count) + 1) * seeds, "few schedules to choose from are worth few trainings"
    ended, runs = play(plan, dict.fromkeys(range(count), 0.5), generator, 0.1)
    assert len(runs) <= planned
    assert ended.runs_to_come == 0
    assert len(ended.final_seeds) == seeds
    assert not {*ended.final_seeds} & {*ended.race_seeds, 3}
    measured = [run for run in runs if run.seed in ended.final_seeds]
    assert sorted(run.number for run in measured) == sorted(number for number in ended.measured for _ in range(seeds))


def test_the_best_wins_a_race_that_the_luckiest_search_trial_entered_first() -> None:
    generator = np.random.default_rng(0)
    trials = [constant(0, 0.6), trial(1, 0.1), trial(2, 0.3), trial(3, 0.4)]
    means = {0: 0.6, 1: 0.5, 2: 0.2, 3: 0.45}
    answers = [
        play(Plan.of(trials, "minimize", SPACE, top=3, seeds=5, search_seed=seed), means, generator, 0.05)[0].answer
        for seed in range(40)
    ]
    assert answers.count(2) >= 36


def test_the_stated_value_of_the_chosen_one_of_many_equals_is_unbiased_and_seldom_called_better() -> None:
    """All are copies of one schedule: what the search and the race choose is luck, and must not be stated."""
    generator = np.random.default_rng(5)
    stated, naive, better = [], [], 0
    for study in range(300):
        values = 0.5 + 0.1 * generator.normal(size=6)
        trials = [constant(0, values[0]), *(trial(number, values[number]) for number in range(1, 6))]
        losses: dict[int, dict[int, float]] = {}
        plan = Plan.of(trials, "minimize", SPACE, top=3, seeds=5, search_seed=study)
        while True:
            plan, runs = plan.next(losses)
            if not runs:
                break
            for run in runs:
                losses.setdefault(run.number, {})[run.seed] = 0.5 + 0.1 * generator.normal()
        assert plan.answer is not None
        final = {number: {seed: losses[number][seed] for seed in plan.final_seeds} for number in (plan.answer, 0)}
        stated.append(np.mean(list(final[plan.answer].values())))
        naive.append(values.min())
        gain = paired_gain(final[plan.answer], final[0], "minimize")
        assert gain is not None
        better += gain.verdict == "better"
    assert np.mean(naive) < 0.42
    assert np.mean(stated) == pytest.approx(0.5, abs=3 * 0.1 / np.sqrt(5 * 300))
    assert better <= 15


def test_a_racer_that_diverged_where_another_completed_is_out_unless_all_did() -> None:
    trials = [trial(number, 0.1 * number) for number in range(4)]
    plan, runs = Plan.of(trials, "minimize", SPACE, top=4, seeds=4, search_seed=0, with_constant=False).next({})
    losses = {run.number: {run.seed: 0.1 * run.number} for run in runs if run.number != 0}
    after, _ = plan.next(losses, broken={0})
    assert after.answer == 1
    everyone, _ = plan.next({}, broken={0, 1, 2, 3})
    assert everyone.racing or everyone.answer is not None


def test_without_a_baseline_only_the_answer_is_measured_and_own_schedules_are() -> None:
    trials = [trial(0, 0.5), constant(1, 0.1), trial(2, 0.3)]
    plan = Plan.of(trials, "minimize", SPACE, top=1, seeds=2, search_seed=0, with_constant=False, compared=(0, 9))
    plan, runs = plan.next({})
    assert plan.measured == (1, 0)
    assert len(runs) == 4


def test_the_simplest_of_the_tied_is_recommended_with_the_reason() -> None:
    generator = np.random.default_rng(1)
    warmed = Linear(start_lr=0.01, peak_lr=0.3, end_lr=0.001, warmup_fraction=0.1)
    trials = [constant(0, 0.5), trial(1, 0.499, warmed)]
    codes = set()
    for seed in range(30):
        plan, _ = play(
            Plan.of(trials, "minimize", SPACE, top=2, seeds=8, search_seed=seed), {0: 0.5, 1: 0.5}, generator, 0.05
        )
        why = recommendation(plan, {each.number: each for each in trials})
        codes.add(why.code)
        if why.code == "simplest_of_tied":
            assert plan.answer == 0
            assert [tied.trial for tied in why.tied] == [1, 0]
            assert why.tied[0].behind == 0 < why.tied[1].behind
            assert "constant is the simplest" in why.message
    assert "simplest_of_tied" in codes


def test_a_constant_wins_a_tie_with_a_linear_schedule() -> None:
    """Both are as good on every seed of the race but for noise, which leaves the linear one ahead by a hair."""
    linear = Linear(start_lr=0.2, end_lr=0.001)
    plan = Plan.of([constant(0, 0.5), trial(1, 0.5, linear)], "minimize", SPACE, top=2, seeds=4, search_seed=0)
    assert [contender.fields for contender in sorted(plan.contenders, key=lambda each: each.number)] == [1, 2]
    plan, runs = plan.next({})
    seeds = sorted({run.seed for run in runs})
    luck = np.random.default_rng(2).normal(scale=0.01, size=(2, len(seeds)))
    luck -= luck.mean(axis=1, keepdims=True) + np.array([[0.0], [0.001]])
    losses = {number: dict(zip(seeds, (0.5 + luck[number]).tolist(), strict=True)) for number in (0, 1)}
    plan, _ = plan.next(losses)
    assert plan.tied[0][0] == 1
    assert plan.answer == 0

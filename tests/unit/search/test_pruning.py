"""Running trials are judged within their family, and only after their warm-up."""

from __future__ import annotations

import pytest

from lehr.schedules import Constant, Cosine, Schedule
from lehr.wire.search_methods import PRUNERS
from service.search.observations import Observation
from service.search.pruners.base import Curve, climb_steps
from service.search.pruners.hyperband import hyperband_bracket
from service.search.registry import curve_pruner
from service.search.searcher import Searcher
from service.search.sequence import from_unit
from tests.unit.search.landscape import SPACE, WARMED_SPACE

HORIZON = 100


def cosine(warmup: float = 0.0) -> Schedule:
    if warmup:
        return Cosine(start_lr=0.01, peak_lr=0.1, end_lr=0.001, warmup_fraction=warmup)
    return Cosine(start_lr=0.1, end_lr=0.001)


def reports(loss: float, until: int = 90) -> tuple[tuple[int, float], ...]:
    return tuple((step, loss) for step in range(10, until + 1, 10))


def finished(schedule: Schedule, count: int = 10, loss: float = 1.0) -> list[Curve]:
    return [Curve(number, schedule, "COMPLETED", reports(loss + number / 100)) for number in range(count)]


def prunes(pruner: str, trial: Curve, others: list[Curve], direction: str = "minimize") -> bool:
    judge = curve_pruner(pruner)
    return judge is not None and judge.should_prune(trial, others, horizon_steps=HORIZON, direction=direction)


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_trial_far_behind_its_family_is_pruned_and_one_ahead_goes_on(pruner: str) -> None:
    number = next(number for number in range(100, 200) if hyperband_bracket(number) == 0)
    for step in (10, 40):
        assert prunes(pruner, Curve(number, cosine(), "RUNNING", reports(9.0, step)), finished(cosine(), 30))
        assert not prunes(pruner, Curve(number, cosine(), "RUNNING", reports(0.1, step)), finished(cosine(), 30))


def test_where_more_is_better_the_low_value_is_pruned() -> None:
    others = finished(cosine())
    for loss, expected in ((0.1, True), (9.0, False)):
        trial = Curve(100, cosine(), "RUNNING", reports(loss, 40))
        assert prunes("median", trial, others, "maximize") is expected


@pytest.mark.parametrize("pruner", PRUNERS)
def test_no_trial_is_pruned_inside_its_warmup(pruner: str) -> None:
    warmed = cosine(warmup=0.5)
    others = [*finished(warmed, 30), *finished(cosine(), 30)]
    for number in range(100, 140):
        for step in (10, 20, 30, 40):
            assert not prunes(pruner, Curve(number, warmed, "RUNNING", reports(99.0, step)), others)


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_another_family_is_no_measure(pruner: str) -> None:
    flat = Constant(start_lr=0.1, end_lr=0.1)
    for number in range(100, 140):
        assert not prunes(pruner, Curve(number, flat, "RUNNING", reports(99.0, 50)), finished(cosine(), 30))


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_nobody_is_judged_before_four_of_the_family_finished(pruner: str) -> None:
    number = next(number for number in range(100, 200) if hyperband_bracket(number) == 0)
    assert not prunes(pruner, Curve(number, cosine(), "RUNNING", reports(99.0, 10)), finished(cosine(), 3))


def test_what_others_reported_inside_their_warmup_is_not_compared_with() -> None:
    climbing = [Curve(number, cosine(warmup=0.5), "COMPLETED", reports(0.01)) for number in range(20)]
    assert not prunes("median", Curve(100, cosine(), "RUNNING", reports(1.0, 30)), climbing)
    assert prunes("median", Curve(100, cosine(), "RUNNING", reports(1.0, 70)), climbing)


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_trial_is_never_pruned_at_its_last_step_nor_without_reports(pruner: str) -> None:
    last = ((HORIZON - 1, 99.0),)
    assert not prunes(pruner, Curve(100, cosine(), "RUNNING", last), finished(cosine()))
    assert not prunes(pruner, Curve(100, cosine(), "RUNNING", ()), finished(cosine()))


def test_hyperband_deals_most_trials_to_the_bracket_that_prunes_earliest() -> None:
    dealt = [hyperband_bracket(number) for number in range(2000)]
    shares = [dealt.count(bracket) / 2000 for bracket in range(4)]
    # Hyperband (JMLR 2018), table 1 for R = 27, eta = 3: n = 27, 12, 6, 4 of 49 (rounded up).
    assert shares == pytest.approx([27 / 49, 12 / 49, 6 / 49, 4 / 49], abs=0.05)


def test_a_climb_ends_where_the_rate_is_highest() -> None:
    for family in WARMED_SPACE.families:
        for number in range(20):
            point = {one.name: from_unit(one, number / 19) for one in WARMED_SPACE.coordinates(family)}
            schedule = WARMED_SPACE.schedule(family, point)
            climb = climb_steps(schedule, 1001)
            assert schedule.lr(climb, 1001) >= 0.97 * schedule.max_lr
            assert all(schedule.lr(step, 1001) <= schedule.lr(step + 1, 1001) * (1 + 1e-9) for step in range(climb - 1))


def test_a_searcher_prunes_by_what_it_was_told_and_a_rebuilt_one_alike() -> None:
    observations = []
    for number in range(8):
        point = SPACE.point(Cosine(start_lr=0.1, end_lr=0.001 * (number + 1)))
        observations.append(Observation(number, "cosine", point, "COMPLETED", 1.0, reports(1.0)))
    for order in (observations, observations[::-1]):
        searcher = Searcher(SPACE, "minimize", "tpe", 0, trials_budget=60, pruner="median")
        for one in order:
            searcher.tell(one)
        assert searcher.should_prune(20, cosine(), HORIZON, reports(9.0, 40))
        assert not searcher.should_prune(21, cosine(), HORIZON, reports(0.5, 40))
        unpruned = Searcher(SPACE, "minimize", "tpe", 0, trials_budget=60)
        assert not unpruned.should_prune(20, cosine(), HORIZON, reports(9.0, 40))

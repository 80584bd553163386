"""The diagnosis finds the fault of synthetic studies, and none in healthy ones."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import pytest
from scipy.stats import f as f_distribution

from lehr.schedules import schedule_from_dict
from lehr.wire.diagnosis import Finding
from lehr.wire.ranges import RangeSpec
from lehr.wire.studies import SpaceSpec
from service.diagnosis.results import Result, StudyResults
from service.diagnosis.study import diagnose_study
from service.diagnosis.too_noisy import indistinct

SPACE = SpaceSpec(start_lr=RangeSpec(low=1e-4, high=1.0), end_lr=RangeSpec(low=1e-6, high=1e-1))
SEEDS = [[0.90, 0.91, 0.89], [0.92, 0.91, 0.93], [0.88, 0.9, 0.89]]


def bowl(log_lr: float, best: float) -> float:
    """An accuracy that is .95 at the best rate and loses a tenth for each decade squared."""
    return 0.95 - 0.1 * (log_lr - math.log10(best)) ** 2


def study(
    best: float = 0.03, *, trials: int = 20, noise: float = 0.002, slope: float = 1.0, **changes: Any
) -> StudyResults:
    draw = random.Random(4)
    results = []
    for number in range(trials):
        log_lr = -4 + 4 * (number + 0.5) / trials
        value = 0.95 + slope * (bowl(log_lr, best) - 0.95) + draw.gauss(0, noise)
        schedule = {"family": "cosine", "start_lr": 10**log_lr, "end_lr": 3e-5}
        results.append(Result(number, "COMPLETED", schedule_from_dict(schedule), value))
    facts: dict[str, Any] = {
        "space": SPACE, "metric": "val_accuracy", "direction": "maximize", "results": results, "repeats": SEEDS,
    }  # fmt: skip
    return StudyResults(**(facts | changes))


def codes(made: StudyResults) -> list[str]:
    return [finding.code for finding in diagnose_study(made)]


def diverging(made: StudyResults, numbers: set[int]) -> list[Result]:
    return [
        Result(one.number, "DIVERGED", one.schedule, None) if one.number in numbers else one for one in made.results
    ]


@pytest.mark.parametrize("trials", [1, 5, 10, 20, 60])
def test_a_healthy_study_has_no_fault(trials: int) -> None:
    assert diagnose_study(study(trials=trials)) == []


def test_nothing_is_said_of_a_study_without_results() -> None:
    assert diagnose_study(study(trials=0)) == []


@pytest.mark.parametrize(("best", "side"), [(30.0, "high"), (1e-6, "low")])
def test_the_best_rates_at_a_bound_name_the_bound_to_widen(best: float, side: str) -> None:
    (finding,) = diagnose_study(study(best, trials=60))
    assert finding.code == "best_on_bound"
    assert finding.field == f"space.start_lr.{side}"
    assert finding.trial == (59 if side == "high" else 0)
    assert finding.evidence["bound"] == (1.0 if side == "high" else 1e-4)


def test_a_best_trial_on_a_bound_is_found_without_a_crowd_and_a_crowd_is_told_once() -> None:
    few = study(trials=3)
    best = Result(9, "COMPLETED", schedule_from_dict({"family": "cosine", "start_lr": 0.99, "end_lr": 1e-4}), 0.97)
    (finding,) = diagnose_study(replace(few, results=[*few.results, best], best=best))
    assert (finding.code, finding.field, finding.trial) == ("best_on_bound", "space.start_lr.high", 9)
    crowded = study(30.0, trials=60)
    (finding,) = diagnose_study(replace(crowded, best=crowded.results[-1]))
    assert finding.evidence["crowd"] == 5


def test_the_trial_named_at_a_crowded_bound_is_the_studys_best_where_it_is_one_of_the_crowd() -> None:
    crowded = study(30.0, trials=60)
    answer = crowded.results[-3]
    (finding,) = diagnose_study(replace(crowded, best=answer))
    assert finding.trial == answer.number
    assert finding.evidence["value"] == answer.schedule.start_lr


def test_no_bound_is_named_that_cannot_be_moved() -> None:
    space = SpaceSpec(
        families=["constant", "cosine_restarts"],
        warmup_fraction=RangeSpec(low=0.0, high=0.2),
        parameters={"cosine_restarts": {"cycle_growth": RangeSpec(low=1.0, high=3.0)}},
    )
    shape = {"family": "cosine_restarts", "start_lr": 1e-3, "peak_lr": 0.03, "end_lr": 1e-4, "warmup_fraction": 1e-3}
    lowest = Result(0, "COMPLETED", schedule_from_dict(shape), 0.9)
    assert diagnose_study(replace(study(space=space, results=[lowest]), best=lowest)) == []
    highest = Result(0, "COMPLETED", schedule_from_dict({**shape, "cycle_growth": 3.0}), 0.9)
    (finding,) = diagnose_study(replace(study(space=space, results=[highest]), best=highest))
    assert finding.field == "space.parameters.cosine_restarts.cycle_growth.high"


def test_the_highest_rate_of_a_climbing_schedule_is_what_its_bound_bounds() -> None:
    made = study(30.0, trials=60)
    climbing = []
    for one in made.results:
        peak = one.schedule.start_lr
        document = {"family": "one_cycle", "start_lr": peak / 25, "peak_lr": peak, "end_lr": peak / 1000}
        climbing.append(Result(one.number, one.state, schedule_from_dict(document), one.value))
    (finding,) = diagnose_study(study(results=climbing))
    assert finding.field == "space.start_lr.high"
    own = SPACE.model_copy(update={"peak_lr": RangeSpec(low=1e-3, high=1.0)})
    (finding,) = diagnose_study(study(results=climbing, space=own))
    assert finding.field == "space.peak_lr.high"


def test_a_single_lucky_trial_at_the_bound_is_no_crowd() -> None:
    made = study(trials=40)
    lucky = [*made.results[:-1], Result(39, "COMPLETED", made.results[-1].schedule, 0.99)]
    assert diagnose_study(study(results=lucky)) == []


def test_equal_values_over_decades_of_rates_mean_that_the_metric_does_not_see_the_rate() -> None:
    assert codes(study(noise=0.0, slope=0.0)) == ["all_rates_alike"]
    narrow = study(noise=0.0, slope=0.0, trials=400)
    assert codes(study(results=narrow.results[200:260])) == []


def test_values_lost_in_a_small_noise_are_alike_and_in_a_large_one_too_noisy() -> None:
    small = [[0.9, 0.903, 0.898], [0.9, 0.897, 0.902], [0.899, 0.9, 0.902]]
    assert codes(study(noise=0.002, slope=0.0, repeats=small)) == ["all_rates_alike"]
    large = [[0.8, 0.95, 0.7], [0.9, 0.75, 0.99], [0.85, 0.7, 0.9]]
    (finding,) = diagnose_study(study(noise=0.1, slope=0.0, repeats=large))
    assert finding.code == "too_noisy"
    assert finding.evidence["freedom"] == 6
    assert finding.evidence["seeds_needed"] >= 1


def test_without_repeats_nobody_can_tell_noise() -> None:
    assert codes(study(noise=0.1, slope=0.0, repeats=[])) == []


def test_the_f_test_is_scipys() -> None:
    made = study(noise=0.01, slope=0.1)
    values, noise = made.values, made.noise
    assert noise is not None
    mean = sum(values) / len(values)
    ratio = sum((value - mean) ** 2 for value in values) / (len(values) - 1) / noise.deviation**2
    is_chance = f_distribution.sf(ratio, len(values) - 1, noise.freedom) > 0.05
    assert (indistinct(made) is not None) == is_chance


def test_many_diverged_trials_name_the_bound_to_lower() -> None:
    made = study(trials=20, best=1e-3)
    (finding,) = diagnose_study(study(results=diverging(made, set(range(13, 20)))))
    assert (finding.code, finding.field) == ("diverged", "space.start_lr.high")
    assert finding.evidence["lowest_lr"] == pytest.approx(10 ** (-4 + 4 * 13.5 / 20))
    assert diagnose_study(study(results=diverging(made, {18, 19}))) == []


def test_what_is_wrong_with_the_best_training_is_told_as_well() -> None:
    of_best = Finding(code="overfits", message="it overfits", remedy="stop", evidence={}, trial=12)
    assert diagnose_study(study(), [of_best]) == [of_best]

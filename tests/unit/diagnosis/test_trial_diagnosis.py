"""The diagnosis finds the fault of synthetic curves, and none in healthy ones."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lehr.schedules import schedule_from_dict
from lehr.wire.studies import Direction
from service.diagnosis.neighbours import Neighbours, Tried, neighbours
from service.diagnosis.training_curve import TrialCurve
from service.diagnosis.trend import jitter, kendall_z
from service.diagnosis.trial import diagnose
from tests.unit.diagnosis.made import (
    CONSTANT,
    COSINE,
    HORIZON,
    RESTARTS,
    WARM,
    annealed,
    curve,
    in_cycles,
    language_model,
    restless,
    settling,
    slow,
)

DIVERGED = curve([1.0, 3.0, None], [2.0, 9.0, None], state="DIVERGED", steps=[83, 166, 170], rates=[0.1, 0.1, 0.1])
WARM_SPIKE = [2.0, 5.0, 3.0, 1.5, 1.0, 0.8, 0.7, 0.65, 0.62, 0.6, 0.59, 0.585]
PLATEAU = [2.5, 0.9, 0.7, 0.8, 0.68, 0.79, 0.69, 0.8, 0.7, 0.78, 0.69, 0.77]
OVERFITTED = [1.0, 0.7, 0.55, 0.5, 0.5, 0.52, 0.55, 0.58, 0.61, 0.65, 0.69, 0.73]

FAULTY: dict[str, tuple[str, TrialCurve]] = {
    "a DIVERGED run": ("diverged", DIVERGED),
    "a loss that goes up and down": ("rate_too_high", curve(restless(1), restless(2))),
    "the same without held-out data": ("rate_too_high", curve(restless(1), metrics={})),
    "the same under a cosine": ("rate_too_high", curve(restless(3), restless(4), COSINE)),
    "the same, reported a hundred times": ("rate_too_high", curve(restless(5), restless(6), reports=12)),
    "a plateau after a fast start": ("rate_too_high", curve(PLATEAU, PLATEAU[:1] + PLATEAU[2:] + [0.71])),
    "a loss that ends where it began": (
        "rate_too_high",
        curve([2.5, 2.9, 2.4, 2.8, 2.5, 2.45, 2.9, 2.6], [2.5] * 8, reports=8),
    ),
    "a straight fall": ("rate_too_low", curve(slow)),
    "a straight fall in summed rate": (
        "rate_too_low",
        curve(lambda progress: 2.3 - 0.5 * (progress + math.sin(math.pi * progress) / math.pi), schedule=COSINE),
    ),
    "a loss that hardly moves": ("rate_too_low", curve(lambda progress: 2.3 - 0.01 * progress)),
    "a jump after the climb": ("warmup_too_short", curve(WARM_SPIKE, schedule=WARM)),
    "a jump at the start without a climb": ("warmup_too_short", curve(WARM_SPIKE)),
    "a held-out loss that turns": ("overfits", curve(settling(0.02, 1.0, 5.0), OVERFITTED)),
}
HEALTHY: dict[str, TrialCurve] = {
    "a training that settles": curve(settling()),
    "one with noise": curve(settling(noise=0.01), settling(noise=0.04, seed=1)),
    "one with much noise on the held-out data": curve(settling(), settling(noise=0.15, seed=2)),
    "an annealed one": curve(annealed, schedule=COSINE),
    "an annealed one, reported often": curve(annealed, schedule=COSINE, reports=200),
    "one with a warm-up": curve(annealed, schedule=WARM),
    "one that restarts in cycles": curve(in_cycles, schedule=RESTARTS, reports=24),
    "a long pretraining": curve(language_model, reports=100),
    "a long pretraining with noise": curve(
        lambda progress: language_model(progress) * (1 + 0.01 * math.sin(progress * 1e4)), reports=200
    ),
    "a single report": curve([0.5], reports=1),
    "a training without a loss": curve([None] * 12, metrics={}),
    "an unlucky last report": curve(settling(0.1, 1.0), [*[settling()((i + 1) / 12) for i in range(11)], 0.36]),
}


def codes(found: TrialCurve, others: Neighbours | None = None) -> list[str]:
    return [finding.code for finding in diagnose(found, others)]


@pytest.mark.parametrize("name", FAULTY)
def test_a_curve_made_with_a_fault_has_that_fault_alone(name: str) -> None:
    code, made = FAULTY[name]
    assert codes(made) == [code]


def test_too_high_a_rate_is_told_by_what_the_loss_did() -> None:
    said = {name: diagnose(FAULTY[name][1])[0].message for name in FAULTY if FAULTY[name][0] == "rate_too_high"}
    assert "stopped falling at about 0.77 after a fast start" in said["a plateau after a fast start"]
    assert "went up and down" in said["a loss that goes up and down"]
    assert "ended where it began" in said["a loss that ends where it began"]


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_curve_has_no_fault(name: str) -> None:
    assert diagnose(HEALTHY[name]) == []


@pytest.mark.parametrize("name", FAULTY)
@pytest.mark.parametrize("unit", [1e-3, 1e4])
def test_the_unit_of_the_loss_changes_nothing(name: str, unit: float) -> None:
    code, made = FAULTY[name]

    def scaled(values: Sequence[float | None]) -> list[float | None]:
        return [None if value is None else value * unit for value in values]

    metrics = {metric: scaled(values) for metric, values in made.metrics.items()}
    assert codes(replace(made, train_loss=scaled(made.train_loss), metrics=metrics)) == [code]


def test_an_accuracy_that_falls_while_the_loss_falls_on_overfits() -> None:
    accuracy = [0.6, 0.8, 0.9, 0.92, 0.92, 0.91, 0.9, 0.88, 0.87, 0.86, 0.85, 0.84]
    made = curve(
        settling(0.02, 1.0, 5.0), metric="val_accuracy", direction="maximize", metrics={"val_accuracy": accuracy}
    )
    (finding,) = diagnose(made)
    assert finding.code == "overfits"
    assert finding.evidence["best"] == pytest.approx((0.9 + 0.92 + 0.92) / 3, abs=0.01)
    assert finding.evidence["last"] == pytest.approx(0.85)


def test_a_divergence_names_its_step_and_rate() -> None:
    (finding,) = diagnose(DIVERGED)
    assert finding.evidence["step"] == 170
    assert finding.evidence["lr"] == 0.1
    assert "step 170 of 1000" in finding.message


def test_a_divergence_on_the_climb_speaks_of_the_climb() -> None:
    (finding,) = diagnose(replace(DIVERGED, rise_fraction=0.1, steps=[60, 100, 150]))
    assert "warm-up" in finding.remedy


def test_of_what_still_falls_the_other_trials_say_whether_rate_or_time_is_missing() -> None:
    made = curve(slow)
    assert codes(made, Neighbours(higher_better=True)) == ["rate_too_low"]
    assert codes(made, Neighbours(higher_better=False, lower_better=False)) == ["horizon_too_short"]
    assert codes(made, Neighbours(higher_better=False, lower_better=True)) == []


def test_a_loss_that_annealing_has_brought_to_rest_asks_for_no_longer_horizon() -> None:
    resting = [2.3 - 0.3 * index for index in range(6)] + [0.6, 0.59, 0.585, 0.582, 0.581, 0.58]
    made = curve(resting, schedule=COSINE)
    assert codes(made) == ["rate_too_low"]
    assert codes(made, Neighbours(higher_better=False, lower_better=False)) == []


def test_a_full_rate_that_still_gains_asks_for_a_longer_horizon() -> None:
    bumps = [0.0, 0.02, 0, 0.02, 0, 0.07, 0, 0.08, 0, 0.07, 0, 0]
    falling = [1.2 * math.exp(-0.14 * index) + bump for index, bump in enumerate(bumps)]
    assert codes(curve(falling, falling)) == ["horizon_too_short"]


def test_no_rate_is_too_high_where_no_lower_one_did_better() -> None:
    made = curve(restless(1), restless(2))
    assert codes(made, Neighbours(lower_better=False)) == []
    assert codes(made, Neighbours(lower_better=True)) == ["rate_too_high"]


def better(own: Tried, tried: list[Tried], direction: Direction = "maximize") -> tuple[bool | None, bool | None]:
    found = neighbours(own, tried, direction)
    return found.higher_better, found.lower_better


def test_neighbours_are_twice_away_the_higher_ones_ten_times_at_most_and_divergence_is_worst() -> None:
    own = Tried(0.1, 0.8)
    assert better(own, []) == (None, None)
    assert better(own, [Tried(0.15, 0.9), Tried(2.0, 0.9), Tried(0.09, 0.9)]) == (None, None)
    assert better(own, [Tried(0.2, 0.9), Tried(0.0001, 0.7)]) == (True, False)
    assert better(own, [Tried(1.0, None), Tried(0.05, 0.7)], "minimize") == (False, True)


def test_a_calm_training_that_lower_rates_far_outdo_had_too_high_a_rate() -> None:
    dead = curve([2.31, 2.305, *[2.3] * 10], metric="val_accuracy", direction="maximize")
    grid = [Tried(10 ** (-4 + index / 2), value) for index, value in enumerate([0.2, 0.5, 0.8, 0.9, 0.95, 0.97, 0.96])]
    own = Tried(3.0, 0.1)
    (finding,) = diagnose(dead, neighbours(own, [*grid, Tried(10.0, 0.1)], "maximize"))
    assert finding.code == "rate_too_high"
    assert finding.evidence["lower"] == 0.97
    assert finding.evidence["own"] == 0.1
    assert diagnose(dead, neighbours(own, grid[:5], "maximize")) == []


def test_noise_among_good_rates_outdoes_nobody() -> None:
    closed_in = [Tried(0.03 * 1.1**index, 0.95 + 0.002 * (index % 5)) for index in range(20)]
    assert diagnose(curve(settling()), neighbours(Tried(0.5, 0.95), closed_in, "maximize")) == []


@given(st.lists(st.none() | st.floats(-1e300, 1e300), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_any_curve_is_read_and_every_number_told_is_finite(values: list[float | None], draw: random.Random) -> None:
    steps = [round((index + 1) * HORIZON / len(values)) - 1 for index in range(len(values))]
    shuffled = values[:]
    draw.shuffle(shuffled)
    for state in ("COMPLETED", "DIVERGED"):
        made = curve(values, shuffled, reports=len(values), state=state, steps=steps)
        for finding in diagnose(made):
            assert all(map(math.isfinite, finding.evidence.values())), finding


@pytest.mark.parametrize("lowest", [1e-2, 1e-4, 2e-5, 1e-6])
@pytest.mark.parametrize("reports", [5, 8, 10, 12])
def test_a_rate_that_falls_at_once_leaves_no_division_by_zero(lowest: float, reports: int) -> None:
    # One report is left before the rate has annealed: the loss cannot have fallen between it and itself.
    falls_at_once = schedule_from_dict({"family": "exponential", "start_lr": lowest * 200, "end_lr": lowest})
    made = curve(lambda progress: 2.2 - 0.4 * (1 - math.exp(-5 * progress)), schedule=falls_at_once, reports=reports)
    assert "rate_too_low" not in [finding.code for finding in diagnose(made)]


def test_the_trend_is_manns_statistic() -> None:
    # Worked in H. B. Mann (1945) terms: five rising values have S = 10 and a variance of 5 * 4 * 15 / 18.
    assert kendall_z([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(9 / math.sqrt(50 / 3))
    assert kendall_z([5.0, 4.0, 3.0, 2.0, 1.0]) == pytest.approx(-9 / math.sqrt(50 / 3))
    assert kendall_z([1.0, 1.0, 1.0]) == 0


def test_the_jitter_is_the_noises_deviation() -> None:
    draw = random.Random(7)
    noisy = [10 * math.exp(-index / 400) + draw.gauss(0, 0.5) for index in range(4000)]
    assert jitter(noisy) == pytest.approx(0.5, rel=0.05)
    assert CONSTANT.max_lr == 0.1

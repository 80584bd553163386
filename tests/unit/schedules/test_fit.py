"""`fit` recognises lists of rates: each family's own curves, torch's, noisy, short and flat ones."""

from __future__ import annotations

import math
import random

import pytest
import torch
from hypothesis import assume, given, settings
from torch.optim import lr_scheduler

from lehr.errors import InvalidValueError
from lehr.schedules import (
    FAMILIES,
    Constant,
    Cosine,
    CosineRestarts,
    ExpRange,
    InverseTime,
    Knee,
    Linear,
    OneCycle,
    Wsd,
    fit,
)
from lehr.schedules.fitting.simplex import minimize
from tests.support.schedules import moderate

FEW = ("constant", "linear", "cosine", "exponential", "polynomial", "one_cycle")


def rates_of(scheduler_of, steps, lr=0.1):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = scheduler_of(optimizer)
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps - 1):
        optimizer.step()
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


FITTED = [name for name, family in FAMILIES.items() if family.drawable and not family.adaptive]


@pytest.mark.parametrize("family", FITTED)
def test_a_familys_own_curves_are_recovered(family):
    @settings(max_examples=3)
    @given(schedule=moderate(family))
    def recovered(schedule):
        rates = schedule.curve(400).lr
        assume(family == "constant" or max(rates) > 1.01 * min(rates))  # a flat curve is a constant's
        (found,) = fit(rates, [family])
        assert found.schedule.family == family
        assert found.rms_error < 0.005, found.schedule.to_dict()

    recovered()


@pytest.mark.parametrize(
    "schedule",
    [
        CosineRestarts(start_lr=0.3, end_lr=0.001, cycles=3, cycle_growth=2.0),  # restarts at whole steps
        InverseTime(start_lr=1.0, peak_lr=1.0, end_lr=0.1, warmup_fraction=0.125),  # held, then falling
        CosineRestarts(start_lr=0.6, end_lr=0.001, cycles=4, cycle_growth=2.9, cycle_decay=0.97),
        CosineRestarts(start_lr=0.02, end_lr=0.0008, cycles=5, cycle_growth=1.5, cycle_decay=0.27),  # three are hidden
        Wsd(start_lr=0.001, peak_lr=0.3, end_lr=4e-5, warmup_fraction=0.13, cooldown_fraction=0.26, cooldown="sqrt"),
        ExpRange(start_lr=0.0005, peak_lr=0.0015, end_lr=3e-6, cycles=2, swing_decay=0.04),  # first crest below half
        Knee(start_lr=0.0001, peak_lr=1.0, end_lr=0.0001, warmup_fraction=0.01, warmup_shape="cosine"),
    ],
)
def test_extreme_curves_are_recovered_with_their_parameters(schedule):
    (found,) = fit(schedule.curve(400).lr, [schedule.family])
    assert found.schedule.to_dict() == {
        name: pytest.approx(value, rel=1e-3, abs=1e-6) if isinstance(value, float) else value
        for name, value in schedule.to_dict().items()
    }
    assert found.max_error < 1e-5


def test_the_same_rates_always_have_the_same_fit():
    rates = Wsd(start_lr=0.3, end_lr=0.03, cooldown="sqrt").curve(300).lr
    assert fit(rates, ["wsd", "cosine", "step"]) == fit(list(rates), ["wsd", "cosine", "step"])


@pytest.mark.parametrize(
    ("schedule", "families"),
    [
        (Cosine(start_lr=0.5, end_lr=0.01), FEW),
        (Cosine(start_lr=0.01, peak_lr=0.5, end_lr=0.02, warmup_fraction=0.1), FEW),
        (Linear(start_lr=0.0, peak_lr=3e-4, end_lr=3e-5, warmup_fraction=0.05, warmup_shape="cosine"), FEW),
        (Wsd(start_lr=0.3, end_lr=0.03, cooldown_fraction=0.35, cooldown="sqrt"), (*FEW, "wsd", "step")),
        (OneCycle(start_lr=0.02, peak_lr=0.5, end_lr=0.001, warmup_fraction=0.4, phases="three"), FEW),
    ],
)
def test_the_likeliest_candidate_is_the_schedule_itself(schedule, families):
    best = fit(schedule.curve(400).lr, families)[0]
    assert best.schedule.to_dict() == {
        name: pytest.approx(value, rel=1e-3, abs=1e-6) if isinstance(value, float) else value
        for name, value in schedule.to_dict().items()
    }
    assert best.max_error < 1e-4


def test_what_torch_trained_with_is_recognised_among_all_families():
    rates = rates_of(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=100, eta_min=0.001), 101)
    candidates = fit(rates)
    best = candidates[0].schedule
    assert (best.family, best.start_lr, best.end_lr, best.peak_lr) == ("cosine", 0.1, pytest.approx(0.001), None)
    assert {each.schedule.family for each in candidates} <= set(FAMILIES)
    assert [each.score(97) for each in candidates] == sorted(each.score(97) for each in candidates)


@pytest.mark.parametrize(
    ("family", "scheduler_of"),
    [
        ("one_cycle", lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.5, total_steps=200)),
        ("multistep", lambda o: lr_scheduler.MultiStepLR(o, milestones=[60, 120, 160], gamma=0.2)),
        ("step", lambda o: lr_scheduler.StepLR(o, step_size=50, gamma=0.1)),
        ("exponential", lambda o: lr_scheduler.ExponentialLR(o, gamma=0.97)),
        ("triangular2", lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=20, mode="triangular2")),
    ],
)
def test_each_of_torchs_is_the_family_that_it_should_be(family, scheduler_of):
    families = {"constant", "linear", "exponential", "step", "multistep", "triangular", family}
    best = fit(rates_of(scheduler_of, 200), sorted(families))[0]
    assert best.schedule.family == family
    assert best.rms_error < 0.03


@pytest.mark.parametrize("noise", [0.001, 0.02])
def test_noise_changes_neither_the_family_nor_much_of_the_parameters(noise):
    schedule = Cosine(start_lr=0.02, peak_lr=0.5, end_lr=0.05, warmup_fraction=0.2)
    drawn = random.Random(0)
    rates = [rate + 0.5 * noise * drawn.gauss(0, 1) for rate in schedule.curve(300).lr]
    best = fit([max(rate, 0.0) for rate in rates], FEW)[0]
    assert best.schedule.family == "cosine"
    assert best.schedule.max_lr == pytest.approx(0.5, rel=5 * noise)
    assert best.schedule.warmup_fraction == pytest.approx(0.2, abs=2 * noise)
    assert best.rms_error == pytest.approx(noise, rel=0.3)


@pytest.mark.parametrize("rates", [[0.1, 0.1], [0.1] * 50, [3, 3, 3]])
def test_a_flat_curve_is_constant(rates):
    best = fit(rates)[0]
    assert best.schedule == Constant(start_lr=rates[0], end_lr=rates[0])
    assert best.max_error < 1e-12


def test_a_noisy_flat_curve_is_the_mean_constant():
    drawn = random.Random(1)
    rates = [0.1 + 0.001 * drawn.gauss(0, 1) for _ in range(200)]
    best = fit(rates, FEW)[0]
    assert best.schedule.family == "constant"
    assert best.schedule.start_lr == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize("rates", [[0.2, 0.1], [0.3, 0.2, 0.1], [0.0, 0.1], [0.0, 1.0, 0.0], [1.0, 0.1, 1.0, 0.1]])
def test_a_curve_of_a_few_steps_gets_candidates(rates):
    best = fit(rates)[0]
    assert math.isfinite(best.max_error)
    assert len(rates) > 3 or best.max_error < 0.05


@pytest.mark.parametrize(
    ("rates", "field"),
    [
        ([], "rates"),
        ([0.1], "rates"),
        ([0.0, 0.0], "rates"),
        ([0.1, math.nan], "rates[1]"),
        ([math.inf, 0.1], "rates[0]"),
        ([0.1, 0.2, -0.1], "rates[2]"),
        ([0.1, "0.2"], "rates[1]"),
        ([True, 0.1], "rates[0]"),
        ([0.1, None], "rates[1]"),
    ],
)
def test_what_is_no_curve_is_refused(rates, field):
    with pytest.raises(InvalidValueError) as refused:
        fit(rates)
    assert [fault.field for fault in refused.value.faults] == [field]


@pytest.mark.parametrize("family", ["cosin", "plateau", "piecewise", "joined", None])
def test_a_family_that_cannot_be_fitted_is_refused(family):
    with pytest.raises(InvalidValueError, match=r"families\[1\]"):
        fit([0.2, 0.1], ["cosine", family])


def test_the_simplex_method_finds_the_minimum_of_rosenbrocks_valley():
    point, value = minimize(
        lambda at: 100 * (at[1] - at[0] ** 2) ** 2 + (1 - at[0]) ** 2, [-1.2, 1.0], [0.5, 0.5], evaluations=400
    )
    assert point == pytest.approx([1.0, 1.0], abs=1e-5)
    assert value < 1e-10

"""The later families agree with torch, transformers, numpy and scipy, or with the published formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator
from torch.optim import lr_scheduler
from transformers import optimization

from lehr.schedules import (
    Constant,
    ExpRange,
    FlatCosine,
    InverseSqrt,
    InverseTime,
    KDecay,
    Knee,
    Linear,
    OneCycle,
    Piecewise,
    Polynomial,
    Power,
    Rex,
    Tanh,
    Triangular2,
    Wsd,
)

START, END, PEAK, LAST = 0.1, 0.001, 0.5, 100
PROGRESS = [step / LAST for step in range(LAST + 1)]


def train(schedule, scheduler_of, *, lr, steps=LAST + 1):
    """Asserts that the rates, and the momenta where they are cycled, are those that torch trains with."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    scheduler = scheduler_of(optimizer)
    rates, momenta = [], []
    for step in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        if step + 1 < steps:
            scheduler.step()
    curve = schedule.curve(steps)
    # CyclicLR computes 1 + i/n - floor(1 + i/n), which costs it the last digits near its troughs.
    assert curve.lr == pytest.approx(rates, rel=1e-9, abs=1e-13)
    assert curve.momentum is None or curve.momentum == pytest.approx(momenta, rel=1e-9)


@pytest.mark.parametrize("cycles", [1, 2, 5])
def test_triangular2_and_its_momentum_are_torchs_cyclic(cycles):
    train(
        Triangular2(start_lr=END, peak_lr=PEAK, end_lr=END, cycles=cycles, base_momentum=0.8, max_momentum=0.9),
        lambda o: lr_scheduler.CyclicLR(o, END, PEAK, step_size_up=20, mode="triangular2", base_momentum=0.8),
        lr=END,
        steps=40 * cycles + 1,
    )


@pytest.mark.parametrize("cycles", [1, 2, 5])
@pytest.mark.parametrize("gamma", [0.9, 0.99, 0.9999])
def test_exp_range_and_its_momentum_are_torchs_cyclic(cycles, gamma):
    steps = 40 * cycles + 1
    train(
        ExpRange(
            start_lr=END, peak_lr=PEAK, end_lr=END, cycles=cycles, swing_decay=gamma ** (steps - 1),
            base_momentum=0.8, max_momentum=0.9,
        ),
        lambda o: lr_scheduler.CyclicLR(
            o, END, PEAK, step_size_up=20, mode="exp_range", gamma=gamma, base_momentum=0.8
        ),
        lr=END,
        steps=steps,
    )  # fmt: skip


@pytest.mark.parametrize(("strategy", "shape"), [("cos", "cosine"), ("linear", "linear")])
@pytest.mark.parametrize("rise", [0.2, 0.45])
def test_a_one_cycle_of_three_phases_and_its_momentum_are_torchs(strategy, shape, rise):
    steps = LAST + 1
    train(
        OneCycle(
            start_lr=START, peak_lr=PEAK, end_lr=END, warmup_fraction=(rise * steps - 1) / (steps - 1), phases="three",
            warmup_shape=shape, anneal=shape, base_momentum=0.85, max_momentum=0.95,
        ),
        lambda o: lr_scheduler.OneCycleLR(
            o, max_lr=PEAK, total_steps=steps, pct_start=rise, anneal_strategy=strategy, three_phase=True,
            div_factor=PEAK / START, final_div_factor=START / END, base_momentum=0.85, max_momentum=0.95,
        ),
        lr=START,
    )  # fmt: skip


@pytest.mark.parametrize("timescale", [20, 35])
def test_inverse_sqrt_is_transformers(timescale):
    end = PEAK / math.sqrt((LAST - 20) / timescale + 1)
    train(
        InverseSqrt(start_lr=0.0, peak_lr=PEAK, end_lr=end, warmup_fraction=0.2),
        lambda o: optimization.get_inverse_sqrt_schedule(o, 20, timescale=timescale),
        lr=PEAK,
    )


def test_a_timescale_that_leads_to_the_end_by_itself_changes_nothing():
    for cls, power in ((InverseSqrt, 2), (InverseTime, 1)):
        own = cls(start_lr=PEAK, end_lr=END)
        told = cls(start_lr=PEAK, end_lr=END, timescale=1 / ((PEAK / END) ** power - 1))
        assert told.curve(LAST).lr == pytest.approx(own.curve(LAST).lr, rel=1e-9)


def test_inverse_time_falls_as_keras_documents_it():
    rate = START / END - 1  # initial_learning_rate / (1 + decay_rate * step / decay_steps)
    expected = [START / (1 + rate * step / LAST) for step in range(LAST + 1)]
    assert InverseTime(start_lr=START, end_lr=END).curve(LAST + 1).lr == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("family", "after"),
    [
        (Knee, lambda o: lr_scheduler.LinearLR(o, start_factor=1.0, end_factor=END / START, total_iters=40)),
        (FlatCosine, lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=40, eta_min=END)),
    ],
)
def test_holding_then_falling_is_torchs_sequence(family, after):
    def sequence(optimizer):
        hold = lr_scheduler.ConstantLR(optimizer, factor=1.0)
        return lr_scheduler.SequentialLR(optimizer, [hold, after(optimizer)], milestones=[60])

    train(family(start_lr=START, end_lr=END, hold_fraction=0.6), sequence, lr=START)


RATES = {"start_lr": START, "end_lr": END}
WARM = {"start_lr": START, "peak_lr": PEAK, "end_lr": END, "warmup_fraction": 0.2}


@pytest.mark.parametrize("rates", [RATES, WARM])
@pytest.mark.parametrize(
    ("point", "other"),
    [
        ({"hold_fraction": 0.0, "power": 1.0}, Linear),
        ({"hold_fraction": 0.0, "power": 3.0}, lambda **rates: Polynomial(**rates, power=3.0)),
        ({"hold_fraction": 0.3, "power": 1.0}, lambda **rates: Knee(**rates, hold_fraction=0.3)),
        (
            {"hold_fraction": 0.3, "power": 1.0},
            lambda **rates: Wsd(**rates, cooldown_fraction=0.7 - rates.get("warmup_fraction", 0)),
        ),
    ],
)
def test_power_has_other_families_as_points(rates, point, other):
    assert Power(**rates, **point).curve(LAST).lr == pytest.approx(other(**rates).curve(LAST).lr, rel=1e-12)


def test_power_without_a_fall_is_constant():
    assert Power(start_lr=0.1, end_lr=0.1).curve(LAST).lr == Constant(start_lr=0.1, end_lr=0.1).curve(LAST).lr


@pytest.mark.parametrize(
    ("schedule", "published"),
    [
        (KDecay(**RATES, k=3.0), lambda x: END + (START - END) / 2 * (1 + np.cos(np.pi * x**3))),
        (
            KDecay(**RATES, k=3.0, curve_shape="polynomial", power=2.0),
            lambda x: (START - END) * (1 - x**3) ** 2 + END,
        ),
        (Wsd(**RATES, cooldown_fraction=1.0, cooldown="square"), lambda x: END + (START - END) * (1 - x**2)),
        (Wsd(**RATES, cooldown_fraction=1.0, cooldown="sqrt"), lambda x: END + (START - END) * (1 - np.sqrt(x))),
        (Wsd(**RATES, cooldown_fraction=1.0, cooldown="exponential"), lambda x: START * (END / START) ** x),
    ],
)
def test_the_rates_are_those_of_the_published_formula(schedule, published):
    assert schedule.curve(LAST + 1).lr == pytest.approx(published(np.array(PROGRESS)), rel=1e-12)


def test_rex_is_the_papers_and_pytorch_optimizers():
    published = [END + (START - END) * (1 - x) / (0.5 + 0.5 * (1 - x)) for x in PROGRESS]
    ours = Rex(start_lr=START, end_lr=END).curve(LAST + 1).lr
    assert ours == pytest.approx(published, rel=1e-12)
    schedulers = pytest.importorskip("pytorch_optimizer.lr_scheduler")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=START)
    theirs = schedulers.REXScheduler(optimizer, LAST, max_lr=START, min_lr=END)
    theirs.step_t = 0  # its constructor takes a step, as torch's do
    assert ours == pytest.approx([theirs.step() for _ in range(LAST + 1)], rel=1e-12)


def test_tanh_is_the_papers_but_for_the_ends_that_it_meets():
    x = np.array(PROGRESS)
    published = 0.5 * (1 - np.tanh(-6 + 9 * x))  # L = -6, U = 3
    ours = np.array(Tanh(start_lr=1.0, end_lr=0.0).curve(LAST + 1).lr)
    assert np.max(np.abs(ours - published)) < 0.0025


@given(
    knots=st.lists(st.integers(21, 99), min_size=0, max_size=8, unique=True).map(sorted),
    # scipy divides by slopes and overflows where heights are denormal: no fair comparison.
    heights=st.lists(st.floats(1e-9, 1) | st.sampled_from([0.0, 0.5, 1.0]), min_size=8, max_size=8),
)
def test_a_piecewise_schedule_is_numpys_lines_and_scipys_monotone_cubic(knots, heights):
    form = {**WARM, "knots": [knot / 100 for knot in knots], "rates": heights[: len(knots)]}
    at, through = [0.2, *form["knots"], 1.0], [PEAK, *form["rates"], END]
    steps = range(20, LAST + 1)
    linear, cubic = Piecewise(**form), Piecewise(**form, interpolation="monotone_cubic")
    assert [linear.lr(step, LAST + 1) for step in steps] == pytest.approx(
        np.interp(PROGRESS[20:], at, through), rel=1e-9, abs=1e-12
    )
    assert [cubic.lr(step, LAST + 1) for step in steps] == pytest.approx(
        PchipInterpolator(at, through)(PROGRESS[20:]), rel=1e-9, abs=1e-12
    )

"""Rates agree step by step with the same schedules of torch.optim.lr_scheduler."""

from __future__ import annotations

import pytest
import torch
from torch.optim import lr_scheduler

from lehr.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    Linear,
    MultiStep,
    OneCycle,
    Polynomial,
    Step,
    Triangular,
)

START, END, PEAK = 0.1, 0.001, 0.5


def sgd(lr=START):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)


def run(optimizer, scheduler, steps):
    """The rates and momenta that torch trains with, step by step."""
    rates, momenta = [], []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        scheduler.step()
    return rates, momenta


def assert_same(schedule, horizon, scheduler_of, *, steps=None, lr=START):
    optimizer = sgd(lr)
    steps = steps or horizon
    theirs, _ = run(optimizer, scheduler_of(optimizer), steps)
    ours = [schedule.lr(step, horizon) for step in range(steps)]
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-15)


def test_constant_is_torchs_constant():
    assert_same(Constant(start_lr=START, end_lr=START), 50, lambda o: lr_scheduler.ConstantLR(o, factor=1.0))


def test_linear_is_torchs_linear():
    assert_same(
        Linear(start_lr=START, end_lr=END),
        101,
        lambda o: lr_scheduler.LinearLR(o, start_factor=1.0, end_factor=END / START, total_iters=100),
    )


def test_cosine_is_torchs_cosine_annealing():
    assert_same(
        Cosine(start_lr=START, end_lr=END), 101, lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=100, eta_min=END)
    )


def test_exponential_is_torchs_exponential():
    assert_same(
        Exponential(start_lr=START, end_lr=END),
        101,
        lambda o: lr_scheduler.ExponentialLR(o, gamma=(END / START) ** (1 / 100)),
    )


@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_polynomial_to_zero_is_torchs_polynomial(power):
    assert_same(
        Polynomial(start_lr=START, end_lr=0.0, power=power),
        101,
        lambda o: lr_scheduler.PolynomialLR(o, total_iters=100, power=power),
    )


@pytest.mark.parametrize(("drops", "size"), [(1, 7), (3, 25), (6, 10)])
def test_step_is_torchs_step_of_equal_intervals(drops, size):
    assert_same(
        Step(start_lr=START, end_lr=END, drops=drops),
        (drops + 1) * size,
        lambda o: lr_scheduler.StepLR(o, step_size=size, gamma=(END / START) ** (1 / drops)),
    )


def test_multistep_is_torchs_multistep():
    assert_same(
        MultiStep(start_lr=START, end_lr=END, milestones=(0.3, 0.6, 0.8)),
        101,
        lambda o: lr_scheduler.MultiStepLR(o, milestones=[30, 60, 80], gamma=(END / START) ** (1 / 3)),
    )


@pytest.mark.parametrize(("cycles", "growth"), [(1, 1), (4, 1), (3, 2), (3, 3)])
def test_cosine_restarts_are_torchs_warm_restarts_until_the_last_step(cycles, growth):
    first = 20
    steps = first * sum(growth**k for k in range(cycles))
    assert_same(
        CosineRestarts(start_lr=START, end_lr=END, cycles=cycles, cycle_growth=growth),
        steps + 1,
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=first, T_mult=growth, eta_min=END),
        steps=steps,  # at the step after them torch restarts once more, and lehr has reached end_lr
    )


@pytest.mark.parametrize(("strategy", "shape"), [("cos", "cosine"), ("linear", "linear")])
def test_one_cycle_and_its_momentum_are_torchs(strategy, shape):
    steps, rise = 101, 0.3
    optimizer = sgd()
    scheduler = lr_scheduler.OneCycleLR(
        optimizer, max_lr=PEAK, total_steps=steps, pct_start=rise, anneal_strategy=strategy, div_factor=PEAK / START,
        final_div_factor=START / END, base_momentum=0.85, max_momentum=0.95,
    )  # fmt: skip
    theirs = run_until_the_last(optimizer, scheduler, steps)
    schedule = OneCycle(
        start_lr=START, peak_lr=PEAK, end_lr=END, warmup_fraction=(rise * steps - 1) / (steps - 1),
        warmup_shape=shape, anneal=shape, base_momentum=0.85, max_momentum=0.95,
    )  # fmt: skip
    curve = schedule.curve(steps)
    assert curve.lr == pytest.approx(theirs[0], rel=1e-9)
    assert curve.momentum == pytest.approx(theirs[1], rel=1e-9)


def run_until_the_last(optimizer, scheduler, steps):
    """OneCycleLR refuses to be stepped past its last step."""
    rates, momenta = run(optimizer, scheduler, steps - 1)
    group = optimizer.param_groups[0]
    return [*rates, group["lr"]], [*momenta, group["momentum"]]


@pytest.mark.parametrize("cycles", [1, 2, 5])
def test_triangular_and_its_momentum_are_torchs_cyclic(cycles):
    optimizer = sgd(END)
    scheduler = lr_scheduler.CyclicLR(optimizer, base_lr=END, max_lr=PEAK, step_size_up=20, base_momentum=0.8)
    steps = 2 * 20 * cycles + 1
    rates, momenta = run(optimizer, scheduler, steps)
    schedule = Triangular(
        start_lr=END, peak_lr=PEAK, end_lr=END, cycles=cycles, base_momentum=0.8, max_momentum=0.9
    )  # fmt: skip
    curve = schedule.curve(steps)
    # CyclicLR computes 1 + i/n - floor(1 + i/n), which costs it the last digits near its troughs.
    assert curve.lr == pytest.approx(rates, abs=1e-13)
    assert curve.momentum == pytest.approx(momenta, abs=1e-13)


@pytest.mark.parametrize(
    ("schedule", "after"),
    [
        (Cosine, lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=80, eta_min=END)),
        (Linear, lambda o: lr_scheduler.LinearLR(o, start_factor=1.0, end_factor=END / PEAK, total_iters=80)),
        (Exponential, lambda o: lr_scheduler.ExponentialLR(o, gamma=(END / PEAK) ** (1 / 80))),
    ],
)
def test_a_warm_up_before_any_family_is_torchs_sequence(schedule, after):
    ours = schedule(start_lr=START, peak_lr=PEAK, end_lr=END, warmup_fraction=0.2)

    def sequence(optimizer):
        rise = lr_scheduler.LinearLR(optimizer, start_factor=START / PEAK, total_iters=20)
        return lr_scheduler.SequentialLR(optimizer, [rise, after(optimizer)], milestones=[20])

    assert_same(ours, 101, sequence, lr=PEAK)

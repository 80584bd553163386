"""Rates agree step by step with the same schedules of optax (within its 32-bit floats)."""

from __future__ import annotations

import optax
import pytest

from lehr.schedules import Constant, Cosine, CosineRestarts, Exponential, Linear, MultiStep, OneCycle, Polynomial

START, END, PEAK, LAST = 0.1, 0.001, 0.5, 100
WARM = {"start_lr": START, "peak_lr": PEAK, "end_lr": END, "warmup_fraction": 0.2}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Constant(start_lr=START, end_lr=START), optax.constant_schedule(START)),
        (Linear(start_lr=START, end_lr=END), optax.linear_schedule(START, END, LAST)),
        (Cosine(start_lr=START, end_lr=END), optax.cosine_decay_schedule(START, LAST, alpha=END / START)),
        (Exponential(start_lr=START, end_lr=END), optax.exponential_decay(START, LAST, END / START)),
        (Polynomial(start_lr=START, end_lr=END, power=3.0), optax.polynomial_schedule(START, END, 3.0, LAST)),
        (
            MultiStep(start_lr=START, end_lr=START / 100, milestones=(0.3, 0.6)),
            optax.piecewise_constant_schedule(START, {30: 0.1, 60: 0.1}),
        ),
        (Cosine(**WARM), optax.warmup_cosine_decay_schedule(START, PEAK, 20, LAST, END)),
        (Exponential(**WARM), optax.warmup_exponential_decay_schedule(START, PEAK, 20, 80, END / PEAK)),
        (
            Constant(start_lr=START, peak_lr=PEAK, end_lr=PEAK, warmup_fraction=0.2),
            optax.warmup_constant_schedule(START, PEAK, 20),
        ),
        (
            OneCycle(start_lr=PEAK / 25, peak_lr=PEAK, end_lr=PEAK / (25 * 1e4), warmup_fraction=0.3),
            optax.cosine_onecycle_schedule(LAST, PEAK),
        ),
    ],
    ids=lambda value: getattr(value, "family", ""),
)
def test_the_rates_are_optaxs(ours, theirs):
    rates = [float(theirs(step)) for step in range(LAST + 1)]
    assert ours.curve(LAST + 1).lr == pytest.approx(rates, rel=2e-5, abs=1e-7)


def test_cosine_restarts_are_optaxs_sgdr_until_the_last_step():
    cycle = {"init_value": START, "peak_value": START, "warmup_steps": 0, "decay_steps": 25, "end_value": END}
    theirs = optax.sgdr_schedule([cycle] * 4)
    ours = CosineRestarts(start_lr=START, end_lr=END, cycles=4).curve(LAST + 1).lr[:-1]
    assert ours == pytest.approx([float(theirs(step)) for step in range(LAST)], rel=2e-5)

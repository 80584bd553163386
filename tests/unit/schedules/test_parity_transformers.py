"""Rates agree step by step with the same schedules of transformers."""

from __future__ import annotations

import pytest
import torch
from transformers import optimization

from lehr.schedules import Constant, Cosine, CosineRestarts, Linear, Polynomial, Wsd

PEAK, LAST = 0.5, 100
WARM = {"start_lr": 0.0, "peak_lr": PEAK, "warmup_fraction": 0.2}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Constant(start_lr=PEAK, end_lr=PEAK), optimization.get_constant_schedule),
        (Constant(**WARM, end_lr=PEAK), lambda o: optimization.get_constant_schedule_with_warmup(o, 20)),
        (Linear(**WARM, end_lr=0.0), lambda o: optimization.get_linear_schedule_with_warmup(o, 20, LAST)),
        (Cosine(**WARM, end_lr=0.0), lambda o: optimization.get_cosine_schedule_with_warmup(o, 20, LAST)),
        (
            Cosine(**WARM, end_lr=0.05),
            lambda o: optimization.get_cosine_with_min_lr_schedule_with_warmup(o, 20, LAST, min_lr=0.05),
        ),
        (
            CosineRestarts(**WARM, end_lr=0.0, cycles=4),
            lambda o: optimization.get_cosine_with_hard_restarts_schedule_with_warmup(o, 20, LAST, num_cycles=4),
        ),
        (
            Polynomial(**WARM, end_lr=0.01, power=2.0),
            lambda o: optimization.get_polynomial_decay_schedule_with_warmup(o, 20, LAST, lr_end=0.01, power=2.0),
        ),
        (
            Wsd(**WARM | {"start_lr": 0.05}, end_lr=0.05, cooldown_fraction=0.3, cooldown="cosine"),
            lambda o: optimization.get_wsd_schedule(
                o, num_warmup_steps=20, num_decay_steps=30, num_stable_steps=50, min_lr_ratio=0.1
            ),
        ),
        (
            Wsd(**WARM | {"start_lr": 0.05}, end_lr=0.05, cooldown_fraction=0.3, cooldown="linear"),
            lambda o: optimization.get_wsd_schedule(
                o, num_warmup_steps=20, num_decay_steps=30, num_stable_steps=50, min_lr_ratio=0.1, decay_type="linear"
            ),
        ),
    ],
    ids=lambda value: getattr(value, "family", ""),
)
def test_the_rates_are_transformers(ours, theirs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    scheduler = theirs(optimizer)
    rates = []
    for _ in range(LAST + 1):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert ours.curve(LAST + 1).lr == pytest.approx(rates, rel=1e-9, abs=1e-15)

"""The exported PyTorch code, run with torch, trains with lehr's rates."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lehr.errors import InvalidValueError
from lehr.schedules import FAMILIES, Cosine, OneCycle, schedule_from_dict
from lehr.schedules.portable import torch_code
from tests.support.schedules import CLOSED_FORM, schedules

families = pytest.mark.parametrize("family", CLOSED_FORM)


def run(schedule, horizon):
    """What the exported text defines."""
    names: dict = {}
    exec(compile(torch_code(schedule, horizon), "exported", "exec"), names)
    return names


def adam():
    parameters = [torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.ones(1))]
    return torch.optim.AdamW([{"params": [each]} for each in parameters], lr=7.0)


def sgd():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=7.0, momentum=0.5)


def train(optimizer, scheduler, steps):
    rates = []
    for _ in range(steps):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return rates


def example(family, warmup, shape):
    """A plain schedule of a family, with or without a warm-up."""
    cls = FAMILIES[family]
    document = {"family": family, "start_lr": 0.01, "end_lr": 0.001}
    if warmup or cls.climbs:
        document |= {"peak_lr": 0.3, "warmup_shape": shape}
    if warmup:
        document["warmup_fraction"] = warmup
    if not cls.decays:
        document["end_lr"] = document.get("peak_lr", 0.01)
    return schedule_from_dict(document)


@families
@pytest.mark.parametrize(("warmup", "shape"), [(0.0, "linear"), (0.2, "linear"), (0.2, "cosine"), (0.2, "exponential")])
@pytest.mark.parametrize("horizon", [1, 2, 97])
def test_training_with_the_exported_scheduler_uses_the_rates_of_the_schedule(family, warmup, shape, horizon):
    schedule = example(family, warmup, shape)
    optimizer = adam()
    rates = train(optimizer, run(schedule, horizon)["LehrLR"](optimizer), horizon + 3)
    assert rates == [[schedule.lr(step, horizon)] * 2 for step in range(horizon + 3)]


@families
@settings(max_examples=25)
@given(data=st.data(), horizon=st.integers(1, 10**12))
def test_the_exported_rates_equal_the_schedules_to_the_last_bit(family, data, horizon):
    schedule = data.draw(schedules(family))
    names = run(schedule, horizon)
    for step in {0, 1, horizon // 7, horizon // 2, horizon - 1, horizon, *data.draw(st.sets(st.integers(0, horizon)))}:
        assert names["lr_at"](step) == schedule.lr(step, horizon)
        if schedule.momentum_levels is not None:
            assert names["momentum_at"](step) == schedule.momentum(step, horizon)


@families
def test_a_resumed_run_goes_on_with_the_rates_of_an_uninterrupted_one(family):
    schedule, horizon, stop = example(family, 0.2, "linear"), 50, 23
    names = run(schedule, horizon)
    optimizer = sgd()
    scheduler = names["LehrLR"](optimizer)
    train(optimizer, scheduler, stop)
    state = scheduler.state_dict()

    fresh = sgd()  # without the optimizer's own state: the scheduler alone restores the rate
    resumed = names["LehrLR"](fresh)
    resumed.load_state_dict(state)
    rates = train(fresh, resumed, horizon - stop)
    assert rates == [[schedule.lr(step, horizon)] for step in range(stop, horizon)]
    assert resumed.get_last_lr() == [schedule.end_lr]


@pytest.mark.parametrize(("make", "key"), [(sgd, "momentum"), (adam, "betas")])
def test_cycled_momentum_is_set_and_resumed(make, key):
    schedule = OneCycle(start_lr=0.01, peak_lr=0.3, end_lr=0.001, base_momentum=0.85, max_momentum=0.95)
    names, optimizer = run(schedule, 40), make()
    scheduler = names["LehrLR"](optimizer)

    def momentum(optimizer):
        value = optimizer.param_groups[-1][key]
        return value[0] if key == "betas" else value

    seen = []
    for _ in range(17):
        seen.append(momentum(optimizer))
        optimizer.step()
        scheduler.step()
    assert seen == [schedule.momentum(step, 40) for step in range(17)]

    fresh = make()
    names["LehrLR"](fresh).load_state_dict(scheduler.state_dict())
    assert momentum(fresh) == schedule.momentum(17, 40)


def test_a_rate_kept_in_a_tensor_is_set_in_place():
    schedule = Cosine(start_lr=0.1, end_lr=0.001)
    rate = torch.tensor(7.0, dtype=torch.float64)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler = run(schedule, 10)["LehrLR"](optimizer)
    train(optimizer, scheduler, 4)
    scheduler.load_state_dict(scheduler.state_dict())
    assert optimizer.param_groups[0]["lr"].item() == schedule.lr(4, 10)


def test_the_exported_text_needs_nothing_of_lehr():
    code = torch_code(Cosine(start_lr=0.1, end_lr=0.001), 10)
    imports = [line for line in code.splitlines() if line.startswith(("import ", "from "))]
    assert imports == ["import math", "import torch"]


@pytest.mark.parametrize("horizon", [0, -1, 1.5, True, 10**12 + 1])
def test_an_export_needs_a_horizon(horizon):
    with pytest.raises(InvalidValueError, match="horizon"):
        torch_code(Cosine(start_lr=0.1, end_lr=0.001), horizon)

"""lehr.torch.ScheduleLR trains with the schedule's rates, resumes correctly, and costs little."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import subprocess
import sys
import time

import pytest
import torch
from torch.optim import lr_scheduler as torch_lr

from lehr.errors import InexpressibleError, InvalidScheduleError, InvalidValueError
from lehr.schedules import Cosine, OneCycle, Plateau, Scaled, Triangular
from lehr.schedules.portable import from_torch
from lehr.torch import ScheduleLR
from tests.support.examples import PLAIN, example

CYCLED = OneCycle(start_lr=0.01, peak_lr=0.3, end_lr=0.001, base_momentum=0.85, max_momentum=0.95)


def sgd(groups=1, lr=7.0):
    parameters = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(groups)]
    return torch.optim.SGD(parameters, lr=lr, momentum=0.5)


def adam(lr=7.0):
    return torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def train(optimizer, scheduler, steps):
    rates = []
    for _ in range(steps):
        rates.append([float(group["lr"]) for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("family", PLAIN)
@pytest.mark.parametrize("horizon", [1, 2, 97])
def test_training_uses_the_rates_of_the_schedule_and_keeps_the_last_one(family, horizon):
    for schedule in (example(family), example(family, 0.2, "cosine")):
        optimizer = sgd(2)
        rates = train(optimizer, ScheduleLR(optimizer, schedule, horizon), horizon + 3)
        assert rates == [[schedule.lr(step, horizon)] * 2 for step in range(horizon + 3)]


@pytest.mark.parametrize("order", ["scheduler alone", "optimizer first", "optimizer last"])
@pytest.mark.parametrize("family", PLAIN)
def test_a_resumed_run_goes_on_with_the_rates_of_an_uninterrupted_one(family, order):
    schedule, horizon, stop = example(family, 0.2), 50, 23
    optimizer = sgd()
    scheduler = ScheduleLR(optimizer, schedule, horizon)
    train(optimizer, scheduler, stop)
    saved, saved_optimizer = json.loads(json.dumps(scheduler.state_dict())), optimizer.state_dict()

    fresh = sgd(lr=3.0)
    if order == "optimizer first":
        fresh.load_state_dict(saved_optimizer)
    resumed = ScheduleLR(fresh, schedule, horizon)
    resumed.load_state_dict(saved)
    if order == "optimizer last":
        fresh.load_state_dict(saved_optimizer)
    assert train(fresh, resumed, horizon - stop) == [[schedule.lr(step, horizon)] for step in range(stop, horizon)]
    assert resumed.get_last_lr() == [schedule.end_lr]


@pytest.mark.parametrize(("make", "key"), [(sgd, "momentum"), (adam, "betas")])
def test_cycled_momentum_is_set_and_resumed(make, key):
    optimizer = make()
    scheduler = ScheduleLR(optimizer, CYCLED, 40)

    def momentum(optimizer):
        value = optimizer.param_groups[-1][key]
        return value[0] if key == "betas" else value

    seen = []
    for _ in range(17):
        seen.append(momentum(optimizer))
        optimizer.step()
        scheduler.step()
    assert seen == [CYCLED.momentum(step, 40) for step in range(17)]
    fresh = make()
    ScheduleLR(fresh, CYCLED, 40).load_state_dict(scheduler.state_dict())
    assert momentum(fresh) == CYCLED.momentum(17, 40)


def test_each_group_may_have_a_factor_of_its_own():
    schedule, optimizer = Cosine(start_lr=0.1, end_lr=0.001), sgd(3)
    rates = train(optimizer, ScheduleLR(optimizer, schedule, 9, factors=[1.0, 0.5, 0.0]), 9)
    assert rates == [[schedule.lr(step, 9), 0.5 * schedule.lr(step, 9), 0.0] for step in range(9)]


def groups_of(*rates):
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates])


def test_groups_keep_the_ratios_of_their_rates_by_default_and_it_is_logged(caplog):
    schedule, optimizer = Cosine(start_lr=0.1, end_lr=0.001), groups_of(0.01, 0.1, 0.05)
    rates = train(optimizer, ScheduleLR(optimizer, schedule, 9), 9)
    for step, row in enumerate(rates):
        assert row == pytest.approx([ratio * schedule.lr(step, 9) for ratio in (0.1, 1.0, 0.5)])
    (record,) = caplog.records
    assert (record.levelno, "0.1, 1, 0.5 times the schedule's" in record.message) == (logging.WARNING, True)
    # The ratios are those of the groups' own rates, not of what an earlier scheduler has left.
    assert ScheduleLR(optimizer, schedule, 9).factors == pytest.approx([0.1, 1.0, 0.5])


def test_groups_of_one_rate_are_not_mentioned(caplog):
    ScheduleLR(sgd(3), Cosine(start_lr=0.1, end_lr=0.001), 9)
    assert not caplog.records


@pytest.mark.parametrize("factors", [None, [1.0], [0.25]])
@pytest.mark.parametrize("schedule", [Cosine(start_lr=0.1, end_lr=0.0), CYCLED], ids=["plain", "cycled"])
def test_a_group_that_is_added_later_keeps_its_own_rate_and_momentum(schedule, factors):
    optimizer = sgd()
    scheduler = ScheduleLR(optimizer, schedule, 5, factors=factors)
    train(optimizer, scheduler, 1)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.002, "momentum": 0.3})
    rates = train(optimizer, scheduler, 4)
    factor = 1.0 if factors is None else factors[0]
    assert rates == [[factor * schedule.lr(step, 5), 0.002] for step in range(1, 5)]
    assert optimizer.param_groups[1]["momentum"] == 0.3
    resumed = groups_of(7.0, 0.004)
    again = ScheduleLR(resumed, schedule, 5, factors=None if factors is None else [*factors, 0.5])
    again.load_state_dict(scheduler.state_dict())
    if factors is None:
        assert again.factors == [1.0]
    else:
        assert again.factors == [factor, 0.5]


@pytest.mark.parametrize("factors", [[1.0, -1.0], [1.0, float("nan")], [float("inf"), 1.0]])
def test_factors_that_are_no_factors_are_refused(factors):
    with pytest.raises(InvalidValueError, match=r"factors: are out of bounds \(allowed: finite numbers >= 0"):
        ScheduleLR(sgd(2), Cosine(start_lr=0.1, end_lr=0.001), 9, factors=factors)


@pytest.mark.parametrize("carried", [lambda each: pickle.loads(pickle.dumps(each)), copy.deepcopy])
@pytest.mark.parametrize("family", PLAIN)
@pytest.mark.parametrize("stop", [0, 7])
def test_a_pickled_scheduler_goes_on_where_it_was(family, carried, stop):
    schedule, optimizer = example(family, 0.2), sgd(2)
    scheduler = ScheduleLR(optimizer, schedule, 20, factors=[1.0, 0.5])
    train(optimizer, scheduler, stop)
    again = carried(scheduler)
    again.optimizer.step()
    if stop == 0:  # torch's own schedulers, too, warn here: what they do to the optimizer's step is not pickled
        with pytest.warns(UserWarning, match="step"):
            again.step()
        stop = 1
    rates = train(again.optimizer, again, 20 - stop)
    assert rates == [[schedule.lr(step, 20), 0.5 * schedule.lr(step, 20)] for step in range(stop, 20)]


@pytest.mark.parametrize(
    "kind", ["Adagrad", "Adadelta", "Rprop", "ASGD", "Adafactor", "SGD", "RMSprop", "Adam", "NAdam", "Adamax", "Muon"]
)
def test_momentum_is_set_only_where_the_optimizer_reads_it(kind, caplog):
    made = getattr(torch.optim, kind)
    optimizer = made([torch.nn.Parameter(torch.zeros(1, 1))], lr=0.1)
    before = set(optimizer.param_groups[0])
    train(optimizer, ScheduleLR(optimizer, CYCLED, 5), 3)
    (group,) = optimizer.param_groups
    assert set(group) - before <= {"initial_lr"}
    reads = "betas" in before or "momentum" in before
    if reads:
        assert CYCLED.momentum(3, 5) in (group.get("momentum"), group.get("betas", (None,))[0])
    assert reads != (f"{kind} has no momentum to cycle" in caplog.text)


def test_a_rate_kept_in_a_tensor_is_set_in_place():
    schedule, rate = Cosine(start_lr=0.1, end_lr=0.001), torch.tensor(7.0, dtype=torch.float64)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler = ScheduleLR(optimizer, schedule, 10)
    train(optimizer, scheduler, 4)
    scheduler.load_state_dict(scheduler.state_dict())
    assert isinstance(optimizer.param_groups[0]["lr"], torch.Tensor)
    assert optimizer.param_groups[0]["lr"].item() == schedule.lr(4, 10)


def test_a_schedule_stepped_before_its_optimizer_is_warned_of():
    optimizer = sgd()
    scheduler = ScheduleLR(optimizer, Cosine(start_lr=0.1, end_lr=0.001), 10)
    with pytest.warns(UserWarning, match="lr_scheduler.step"):
        scheduler.step()


def test_the_live_scheduler_is_read_as_its_schedule():
    schedule = Triangular(start_lr=0.01, peak_lr=0.1, end_lr=0.001)
    assert from_torch(ScheduleLR(sgd(), schedule, 10), 10) == schedule
    with pytest.raises(InvalidScheduleError, match="horizon_steps"):
        from_torch(ScheduleLR(sgd(), schedule, 10), 11)


def test_factors_survive_being_read_back():
    cosine = Cosine(start_lr=0.1, end_lr=0.0)
    read = from_torch(ScheduleLR(sgd(2), cosine, 5, factors=[0.5, 0.5]), 5)
    assert read == Scaled(schedule=cosine, factor=0.5)
    assert read.start_lr == 0.05
    with pytest.raises(InexpressibleError, match="factors: differ between parameter groups"):
        from_torch(ScheduleLR(sgd(2), cosine, 5, factors=[0.5, 1.0]), 5)
    with pytest.raises(InexpressibleError, match="factors"):
        from_torch(ScheduleLR(sgd(), cosine, 5, factors=[0.0]), 5)


def test_it_is_refused_what_it_cannot_follow():
    cosine = Cosine(start_lr=0.1, end_lr=0.001)
    with pytest.raises(InvalidValueError, match="horizon"):
        ScheduleLR(sgd(), cosine, 0)
    with pytest.raises(InvalidValueError, match="factors"):
        ScheduleLR(sgd(2), cosine, 10, factors=[1.0])
    with pytest.raises(InvalidScheduleError, match="adaptive"):
        ScheduleLR(sgd(), Plateau(start_lr=0.1, end_lr=0.001), 10)


def seconds(make, steps=4000):
    optimizer = sgd()
    scheduler = make(optimizer)
    optimizer.step()
    scheduler.step()
    began = time.perf_counter()
    for _ in range(steps):
        scheduler.step()
    return time.perf_counter() - began


def test_a_step_costs_no_more_than_torchs_cheapest_scheduler():
    # The best of several turns each: other programs on the machine only ever add time.
    turns = [
        (
            seconds(lambda optimizer: ScheduleLR(optimizer, Cosine(start_lr=0.1, end_lr=0.001), 10_000)),
            seconds(lambda optimizer: torch_lr.ConstantLR(optimizer, factor=1.0)),
        )
        for _ in range(5)
    ]
    assert min(ours for ours, _ in turns) <= 1.2 * min(theirs for _, theirs in turns)


def test_lehr_itself_imports_no_torch():
    program = (
        "import sys, lehr, lehr.schedules, lehr.schedules.portable, lehr.space, lehr.wire.schedules, lehr.client, "
        "lehr.cli.app; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

"""A configured scheduler of torch or transformers is imported with its rates, or refused by name."""

from __future__ import annotations

import re
import time
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as torch_lr
from transformers import TrainingArguments, get_scheduler

from lehr.errors import InexpressibleError, InvalidValueError
from lehr.schedules import Cosine, Plateau, Step
from lehr.schedules.portable import export, from_torch, from_transformers
from tests.support.examples import PLAIN, example
from tools.parity import running

BASE, END, PEAK = 0.1, 0.001, 0.5


def sgd(lr=BASE):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)


def sequence(optimizer, parts, milestones):
    return torch_lr.SequentialLR(optimizer, [part(optimizer) for part in parts], milestones)


def warm(optimizer):
    return torch_lr.LinearLR(optimizer, start_factor=0.1, total_iters=20)


def held(optimizer):
    return torch_lr.ConstantLR(optimizer, factor=1.0, total_iters=1000)


TORCH = [
    ("constant", 50, lambda o: torch_lr.ConstantLR(o, factor=1.0)),
    ("constant", 50, lambda o: torch_lr.ConstantLR(o, factor=0.3, total_iters=60)),
    ("constant", 50, lambda o: torch_lr.LinearLR(o, start_factor=0.25, total_iters=10)),
    ("linear", 101, lambda o: torch_lr.LinearLR(o, start_factor=1.0, end_factor=0.01, total_iters=100)),
    ("linear", 101, lambda o: torch_lr.LinearLR(o, start_factor=0.5, end_factor=0.0, total_iters=100)),
    ("exponential", 57, lambda o: torch_lr.ExponentialLR(o, gamma=0.93)),
    ("cosine", 101, lambda o: torch_lr.CosineAnnealingLR(o, T_max=100, eta_min=END)),
    ("polynomial", 101, lambda o: torch_lr.PolynomialLR(o, total_iters=100, power=2.5)),
    ("step", 100, lambda o: torch_lr.StepLR(o, step_size=25, gamma=0.5)),
    ("multistep", 107, lambda o: torch_lr.StepLR(o, step_size=25, gamma=0.5)),
    ("multistep", 101, lambda o: torch_lr.StepLR(o, step_size=25, gamma=0.5)),
    ("constant", 20, lambda o: torch_lr.StepLR(o, step_size=25, gamma=0.5)),
    ("multistep", 101, lambda o: torch_lr.MultiStepLR(o, milestones=[7, 60, 99, 150], gamma=0.1)),
    ("one_cycle", 90, lambda o: torch_lr.OneCycleLR(o, max_lr=PEAK, total_steps=90)),
    ("one_cycle", 90, lambda o: torch_lr.OneCycleLR(o, max_lr=PEAK, total_steps=90, anneal_strategy="linear",
                                                    pct_start=0.4, three_phase=True, cycle_momentum=False)),
    ("triangular", 121, lambda o: torch_lr.CyclicLR(o, base_lr=END, max_lr=PEAK, step_size_up=20)),
    ("triangular", 51, lambda o: torch_lr.CyclicLR(o, base_lr=END, max_lr=PEAK, step_size_up=20, step_size_down=30)),
    ("triangular2", 121, lambda o: torch_lr.CyclicLR(o, END, PEAK, 20, mode="triangular2", cycle_momentum=False)),
    ("exp_range", 121, lambda o: torch_lr.CyclicLR(o, END, PEAK, 20, mode="exp_range", gamma=0.99,
                                                   cycle_momentum=False)),
    ("cosine", 101, lambda o: sequence(o, [warm, lambda o: torch_lr.CosineAnnealingLR(o, 80)], [20])),
    ("multistep", 101, lambda o: sequence(o, [warm, lambda o: torch_lr.MultiStepLR(o, [30, 60])], [20])),
    ("wsd", 101, lambda o: sequence(o, [warm, held, lambda o: torch_lr.CosineAnnealingLR(o, 30)], [20, 70])),
    ("wsd", 101, lambda o: sequence(o, [held, lambda o: torch_lr.LinearLR(o, 1.0, 0.01, 30)], [70])),
]  # fmt: skip


@pytest.mark.parametrize(("family", "horizon", "configured"), TORCH)
def test_torchs_scheduler_is_read_as_the_schedule_with_its_rates(family, horizon, configured):
    schedule = from_torch(configured(sgd()), horizon)
    assert schedule.family == family
    optimizer = sgd()
    scheduler = configured(optimizer)
    theirs = running.stepped(optimizer, lambda _number: scheduler.step(), horizon)
    assert schedule.curve(horizon).lr == pytest.approx(theirs, rel=1e-9, abs=1e-12)


def test_a_scheduler_is_read_alike_after_some_steps():
    optimizer = sgd()
    scheduler = torch_lr.CosineAnnealingLR(optimizer, T_max=100, eta_min=END)
    running.stepped(optimizer, lambda _number: scheduler.step(), 40)
    assert from_torch(scheduler, 101) == Cosine(start_lr=BASE, end_lr=END)


def test_momentum_is_read_too():
    schedule = from_torch(torch_lr.OneCycleLR(sgd(), max_lr=PEAK, total_steps=90, base_momentum=0.7), 90)
    assert schedule.momentum_levels == (0.95, 0.7, 0.95)


def test_torchs_plateau_is_read_with_its_settings():
    read = from_torch(torch_lr.ReduceLROnPlateau(sgd(), mode="max", patience=3, min_lr=0.01, threshold_mode="abs"), 100)
    assert read == Plateau(
        start_lr=BASE, end_lr=0.01, patience=3, threshold_mode="absolute", direction="maximize", least_drop=1e-8
    )


@pytest.mark.parametrize(
    ("configured", "field"),
    [
        (lambda o: torch_lr.LambdaLR(o, lambda step: 0.9**step), "lr_lambda"),
        (lambda o: torch_lr.MultiplicativeLR(o, lambda step: 0.9), "scheduler"),
        (lambda o: torch_lr.ChainedScheduler([held(o), warm(o)]), "scheduler"),
        (lambda o: torch_lr.CosineAnnealingLR(o, T_max=50), "T_max"),
        (lambda o: torch_lr.CosineAnnealingLR(o, T_max=101), "T_max"),
        (lambda o: torch_lr.CosineAnnealingLR(o, T_max=100, eta_min=1.0), "eta_min"),
        (lambda o: torch_lr.CosineAnnealingWarmRestarts(o, T_0=25), "scheduler"),
        (lambda o: torch_lr.ExponentialLR(o, gamma=1.1), "gamma"),
        (lambda o: torch_lr.StepLR(o, step_size=20, gamma=1.1), "gamma"),
        (lambda o: torch_lr.MultiStepLR(o, milestones=[10, 10], gamma=0.5), "milestones"),
        (lambda o: torch_lr.ConstantLR(o, factor=0.5, total_iters=10), "total_iters"),
        (lambda o: torch_lr.LinearLR(o, start_factor=1.0, end_factor=0.5, total_iters=10), "total_iters"),
        (lambda o: torch_lr.OneCycleLR(o, max_lr=PEAK, total_steps=90), "total_steps"),
        (lambda o: torch_lr.CyclicLR(o, END, PEAK, 15), "step_size_up"),
        (lambda o: torch_lr.CyclicLR(o, END, PEAK, 25, scale_fn=lambda x: 1.0, cycle_momentum=False), "scale_fn"),
        (lambda o: torch_lr.CyclicLR(o, END, PEAK, 20, 30), "step_size_down"),
        (lambda o: sequence(o, [held, warm, held], [10, 40]), "schedulers"),
        (lambda o: sequence(o, [warm, held], [30]), "milestones"),
    ],
)
def test_what_has_no_equal_is_refused_with_bound_value_and_remedy(configured, field):
    scheduler = configured(sgd())
    with pytest.raises(InvalidValueError) as refused:
        from_torch(scheduler, 101)
    (fault,) = refused.value.faults
    assert fault.field == field
    assert fault.bound
    assert fault.remedy


def chain(*parts):
    return lambda optimizer: sequence(optimizer, [part for part, _ in parts], [at for _, at in parts if at is not None])


UNEQUAL = [
    # A part that begins at a factor of the rate is not what the warm-up rose to.
    (8, chain((lambda o: torch_lr.LinearLR(o, 0.1, 1, 4), 4), (lambda o: torch_lr.ConstantLR(o, 0.1, 999), None)),
     "schedulers: jump where one gives way to the next"),
    (8, chain((lambda o: torch_lr.LinearLR(o, 0.1, 1, 3), 3), (lambda o: torch_lr.LinearLR(o, 0.5, 0.0, 4), None)),
     "schedulers: jump where one gives way to the next"),
    (8, chain((held, 3), (lambda o: torch_lr.LinearLR(o, 0.5, 0.0, 4), None)), "schedulers: jump"),
    (8, chain((held, 3.5), (held, None)), "milestones: are not increasing whole numbers"),
    (3, lambda o: torch_lr.OneCycleLR(o, 0.1, total_steps=3, pct_start=2 / 3, three_phase=True),
     "pct_start: leaves the last phase no steps"),
    (9, lambda o: torch_lr.OneCycleLR(o, 0.1, total_steps=9, pct_start=0.0), "pct_start: is out of bounds"),
    (9, lambda o: torch_lr.OneCycleLR(o, 0.1, total_steps=9, div_factor=0.5), "max_lr: is below div_factor"),
    (9, lambda o: torch_lr.OneCycleLR(o, 0.1, total_steps=9, pct_start=0.8, three_phase=True), "pct_start: "),
    (9, lambda o: torch_lr.CyclicLR(o, 0.5, 0.1, 4), "max_lr: is below base_lr"),
    (9, lambda o: torch_lr.PolynomialLR(o, 8, power=0.0), "power: is out of bounds"),
    (9, lambda o: torch_lr.MultiStepLR(o, range(1, 9), gamma=1e-60), "gamma: is out of bounds"),
    (9, lambda o: torch_lr.StepLR(o, 2.5), "step_size: is no number of steps"),
    (9, lambda o: torch_lr.LinearLR(o, 0.1, 1.0, 2.5), "total_iters: is no whole number"),
]  # fmt: skip


@pytest.mark.parametrize(("horizon", "configured", "told"), UNEQUAL)
def test_what_has_other_rates_than_any_schedule_is_refused_in_torchs_words(horizon, configured, told):
    with pytest.raises(InexpressibleError) as refused:
        from_torch(configured(sgd()), horizon)
    assert str(refused.value).startswith(told)
    assert not re.search(
        "_lr:? |warmup_fraction|phases", str(refused.value).replace("base_lr", "").replace("max_lr", "")
    )


BETWEEN: Any = [2.5, -1]
AMONG: Any = [2.5, 3.0, 5]
"""Milestones that torch never comes to, and some that it does."""
EDGES = [
    ("constant", 5, lambda o: torch_lr.LinearLR(o, total_iters=0)),
    ("constant", 5, lambda o: torch_lr.MultiStepLR(o, BETWEEN)),
    ("multistep", 9, lambda o: torch_lr.MultiStepLR(o, AMONG)),
    ("cosine_restarts", 10, chain((lambda o: torch_lr.CosineAnnealingWarmRestarts(o, 3, eta_min=0.01), 9),
                                  (lambda o: torch_lr.ConstantLR(o, 0.1, 10**9), None))),
    ("constant", 8, chain((held, 20), (warm, None))),
    ("linear", 26, lambda o: get_scheduler("linear", o, 0.06 * 25, 25)),
    ("wsd", 26, lambda o: get_scheduler("warmup_stable_decay", o, 1.5, 25, {"num_decay_steps": 7.25,
                                                                           "decay_type": "1-sqrt"})),
]  # fmt: skip


@pytest.mark.parametrize("stepped", [0, 3])
@pytest.mark.parametrize(("family", "horizon", "configured"), EDGES)
def test_arguments_at_the_edge_are_read_as_torch_takes_them(family, horizon, configured, stepped):
    optimizer = sgd()
    scheduler = configured(optimizer)
    theirs = running.stepped(optimizer, lambda _number: scheduler.step(), horizon)
    again = sgd()
    given = configured(again)
    running.stepped(again, lambda _number: given.step(), stepped)
    schedule = from_torch(given, horizon)
    assert schedule.family == family
    assert schedule.curve(horizon).lr == pytest.approx(theirs, rel=1e-9, abs=1e-12)


def test_reading_a_scheduler_leaves_it_and_its_optimizer_as_they_were():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=torch.tensor(0.1))
    scheduler = torch_lr.OneCycleLR(optimizer, max_lr=PEAK, total_steps=20)
    for _ in range(7):
        optimizer.step()
        scheduler.step()
    before = float(optimizer.param_groups[0]["lr"]), optimizer.param_groups[0]["betas"], scheduler.state_dict()
    from_torch(scheduler, 20)
    assert (
        float(optimizer.param_groups[0]["lr"]),
        optimizer.param_groups[0]["betas"],
        scheduler.state_dict(),
    ) == before


def test_a_scheduler_of_a_long_training_is_read_at_once():
    began = time.perf_counter()
    assert from_torch(torch_lr.CosineAnnealingLR(sgd(), T_max=10**9), 10**9 + 1).family == "cosine"
    zero = (lambda o: torch_lr.ConstantLR(o, 0.0, 10**10), None)
    restarts = chain((lambda o: torch_lr.CosineAnnealingWarmRestarts(o, 1), 10**9), zero)(sgd())
    with pytest.raises(InexpressibleError, match="T_0"):
        from_torch(restarts, 10**9 + 1)
    assert time.perf_counter() - began < 20


def test_a_cosine_that_ends_one_step_later_is_refused_with_the_horizon_it_has():
    with pytest.raises(InexpressibleError, match="horizon_steps=101"):
        from_torch(torch_lr.CosineAnnealingLR(sgd(), T_max=100), 100)


def test_groups_with_different_rates_are_refused():
    optimizer = torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (0.1, 0.2)])
    with pytest.raises(InexpressibleError, match="param_groups"):
        from_torch(torch_lr.ExponentialLR(optimizer, gamma=0.9), 10)


@pytest.mark.parametrize("thing", [None, 3, "CosineAnnealingLR", object()])
def test_what_is_no_scheduler_is_refused(thing):
    with pytest.raises(InexpressibleError, match="scheduler"):
        from_torch(thing, 10)


@pytest.mark.parametrize("framework", ["torch_builtin", "transformers"])
@pytest.mark.parametrize("family", PLAIN)
def test_exported_run_and_read_again_a_schedule_has_the_same_rates(family, framework):
    to_zero = [example(family, 0.2, start=0.0, end=0.0)] if family in ("linear", "cosine", "polynomial", "wsd") else []
    for schedule in [example(family), example(family, 0.2), example(family, 0.2, start=0.0), *to_zero]:
        exported = export(schedule, framework, 101)
        if exported.form == "own":
            scheduler = running.execute(exported.code)["make_scheduler"](running.an_optimizer())
            again = from_torch(scheduler, 101)
            assert again.curve(101).lr == pytest.approx(schedule.curve(101).lr, rel=1e-9, abs=1e-12)
            assert again.curve(101).momentum == schedule.curve(101).momentum


ARGUMENTS = [
    {"lr_scheduler_type": "linear", "warmup_steps": 10},
    {"lr_scheduler_type": "linear"},
    {"lr_scheduler_type": "cosine", "warmup_steps": 0.07},
    {"lr_scheduler_type": "cosine_with_min_lr", "warmup_steps": 10, "lr_scheduler_kwargs": {"min_lr": 0.01}},
    {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": 0.1}},
    {"lr_scheduler_type": "cosine_warmup_with_min_lr", "warmup_steps": 10, "lr_scheduler_kwargs": {"min_lr_rate": 0.1}},
    {"lr_scheduler_type": "cosine_warmup_with_min_lr", "warmup_steps": 9,
     "lr_scheduler_kwargs": {"min_lr_rate": 0.1, "warmup_lr_rate": 0.3}},
    {"lr_scheduler_type": "cosine_with_restarts", "warmup_steps": 10, "lr_scheduler_kwargs": {"num_cycles": 3}},
    {"lr_scheduler_type": "polynomial", "warmup_steps": 10, "lr_scheduler_kwargs": {"lr_end": 0.01, "power": 2.0}},
    {"lr_scheduler_type": "polynomial"},
    {"lr_scheduler_type": "constant"},
    {"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 10},
    {"lr_scheduler_type": "inverse_sqrt", "warmup_steps": 10},
    {"lr_scheduler_type": "inverse_sqrt", "lr_scheduler_kwargs": {"timescale": 33}},
    {"lr_scheduler_type": "warmup_stable_decay", "warmup_steps": 10,
     "lr_scheduler_kwargs": {"num_decay_steps": 20, "decay_type": "1-sqrt", "min_lr_ratio": 0.1}},
    {"lr_scheduler_type": "warmup_stable_decay", "warmup_steps": 10,
     "lr_scheduler_kwargs": {"num_decay_steps": 20, "warmup_type": "cosine", "min_lr_ratio": 0.1}},
]  # fmt: skip


@pytest.mark.parametrize("given", ARGUMENTS)
def test_the_trainers_arguments_are_read_as_the_schedule_that_it_follows(given):
    arguments = TrainingArguments(
        output_dir="unused", use_cpu=True, report_to=[], max_steps=100, learning_rate=0.2, **given
    )
    imported = from_transformers({"max_steps": 100, "learning_rate": 0.2, **given})
    assert from_transformers(arguments) == imported
    optimizer = sgd(0.2)
    scheduler = get_scheduler(
        arguments.lr_scheduler_type,
        optimizer,
        arguments.get_warmup_steps(100),
        100,
        arguments.lr_scheduler_kwargs,
    )
    theirs = running.stepped(optimizer, lambda _number: scheduler.step(), 100)
    ours = [imported.schedule.lr(step, imported.horizon_steps) for step in range(100)]
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)
    assert from_torch(scheduler, imported.horizon_steps) == imported.schedule


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"lr_scheduler_type": "reduce_lr_on_plateau"}, "lr_scheduler_type"),
        ({"lr_scheduler_type": "greedy"}, "lr_scheduler_type"),
        ({"lr_scheduler_type": "cosinus"}, "lr_scheduler_type"),
        ({"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": {"num_cycles": 2}}, "num_cycles"),
        ({"lr_scheduler_type": "cosine_with_min_lr"}, "lr_scheduler_kwargs"),
        ({"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"power": "2"}}, "power"),
        ({"lr_scheduler_type": "linear", "warmup_steps": 100}, "warmup_steps"),
        ({"lr_scheduler_type": "linear", "warmup_steps": -1}, "warmup_steps"),
        ({"lr_scheduler_type": "linear", "max_steps": -1}, "training_steps"),
        ({"lr_scheduler_type": "linear", "learning_rate": None}, "learning_rate"),
        ({"lr_scheduler_type": "warmup_stable_decay"}, "num_decay_steps"),
        ({"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": {"eta_min": 1e-6}}, "lr_scheduler_kwargs.eta_min"),
        ({"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": {"last_epoch": 3}}, "last_epoch"),
        ({"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": "min_lr: 3"}, "lr_scheduler_kwargs"),
        ({"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": "[3]"}, "lr_scheduler_kwargs"),
        ({"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": {"num_cycles": None}}, "num_cycles"),
        ({"lr_scheduler_type": "linear", "warmup_ratio": 1.0}, "warmup_steps"),
        ({"lr_scheduler_type": "linear", "warmup_ratio": 1.5}, "warmup_ratio"),
        ({"lr_scheduler_type": "inverse_sqrt", "lr_scheduler_kwargs": {"timescale": 0}}, "timescale"),
        ({"lr_scheduler_type": "inverse_sqrt", "lr_scheduler_kwargs": {"timescale": -5}}, "timescale"),
        (
            {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-6, "min_lr_rate": 0.5}},
            "lr_scheduler_kwargs",
        ),
        ({"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 0.5}}, "min_lr"),
        ({"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"lr_end": 0.3}}, "lr_end"),
        ({"lr_scheduler_type": "cosine_with_restarts", "lr_scheduler_kwargs": {"num_cycles": 0}}, "num_cycles"),
    ],
)
def test_arguments_without_an_equal_are_refused_by_field(given, field):
    with pytest.raises(InvalidValueError) as refused:
        from_transformers({"max_steps": 100, "learning_rate": 0.2, **given})
    assert [fault.field for fault in refused.value.faults] == [field]


def test_keywords_may_be_json_text():
    given = {"lr_scheduler_type": "cosine_with_min_lr", "learning_rate": 1e-3, "max_steps": 10}
    text = from_transformers({**given, "lr_scheduler_kwargs": '{"min_lr": "0.000001"}'})
    assert text == from_transformers({**given, "lr_scheduler_kwargs": {"min_lr": 1e-6}})
    assert text.schedule.end_lr == 1e-6


def test_numpys_numbers_are_numbers():
    given = {"learning_rate": np.float32(0.5), "max_steps": np.int64(10), "warmup_steps": np.int32(2)}
    assert from_transformers(given) == from_transformers({"learning_rate": 0.5, "max_steps": 10, "warmup_steps": 2})


def test_arguments_exported_for_the_trainer_are_read_again():
    schedule = example("wsd", 0.2, start=0.001)
    arguments = running.execute(export(schedule, "transformers_trainer", 101).code)["arguments"]
    imported = from_transformers(arguments)
    assert imported.horizon_steps == 101
    assert imported.schedule.curve(101).lr == pytest.approx(schedule.curve(101).lr, rel=1e-9)


def test_a_step_schedule_survives_the_round_trip_unchanged():
    schedule = Step(start_lr=0.1, end_lr=0.001, drops=4)
    scheduler = running.execute(export(schedule, "torch_builtin", 101).code)["make_scheduler"](running.an_optimizer())
    assert from_torch(scheduler, 101).to_dict() == pytest.approx(schedule.to_dict())

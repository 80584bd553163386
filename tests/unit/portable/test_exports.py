"""Every export, run in its framework, trains with the schedule's rates."""

from __future__ import annotations

import ast
import json
import math
import re
from dataclasses import fields, replace
from typing import Any

import jax
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lehr.errors import InvalidScheduleError, InvalidValueError
from lehr.schedules import (
    Clipped,
    Cosine,
    CosineRestarts,
    Joined,
    MultiStep,
    OneCycle,
    Plateau,
    PlateauState,
    Scaled,
    Schedule,
    Step,
    Triangular,
    Wsd,
    schedule_from_dict,
)
from lehr.schedules.portable import FRAMEWORKS, export
from tests.conftest import missing
from tests.support.examples import PLAIN, example
from tests.support.schedules import CLOSED_FORM, moderate
from tools.parity import running
from tools.parity.upstream import AbsentError

WARM_UPS = [(0.0, "linear"), (0.2, "linear"), (0.2, "cosine"), (0.2, "exponential"), (0.173, "linear")]
"""The last one ends between two of 101 steps, which no other framework can say."""
SINGLE = {"optax", "keras"}
"""Frameworks that compute rates in 32 bits."""
PYTHON = [name for name in FRAMEWORKS if name not in ("csv", "json", "deepspeed", "megatron")]


def run(exported, steps):
    try:
        return running.rates(exported, steps)
    except AbsentError as absent:
        missing(f"the source of {absent} is not installed: run make setup")


def difference(schedule, exported, steps):
    """The largest one between an export's rates and the schedule's, of the highest rate."""
    ours, theirs = schedule.curve(steps).lr, run(exported, steps)
    assert len(theirs) == steps
    return max(abs(one - other) for one, other in zip(ours, theirs, strict=True)) / max(ours)


def bound(exported):
    if exported.framework in SINGLE:
        return 3e-7
    # The Trainer's scheduler multiplies learning_rate by what the callback gives it.
    return 1e-12 if exported.form == "own" or exported.framework == "transformers_trainer" else 0.0


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("family", PLAIN)
def test_an_exact_export_trains_with_the_schedules_rates(family, framework):
    for warmup, shape in WARM_UPS:
        schedule = example(family, warmup, shape)
        exported = export(schedule, framework, 101)
        assert exported.note
        if exported.exact:
            assert difference(schedule, exported, 101) <= bound(exported), (warmup, shape)
        else:
            assert exported.form == "rates" or framework == "transformers_trainer"


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("horizon", [1, 2, 3])
def test_the_shortest_horizons_are_exported_too(framework, horizon):
    for family in ("constant", "cosine", "one_cycle", "multistep", "wsd"):
        schedule = example(family)
        exported = export(schedule, framework, horizon)
        assert not exported.exact or difference(schedule, exported, horizon) <= bound(exported)


OWN: dict[str, list[Schedule]] = {
    "torch_builtin": [
        Cosine(start_lr=0.1, end_lr=0.0),
        CosineRestarts(start_lr=0.1, end_lr=0.001, cycles=2, cycle_growth=4),
        OneCycle(start_lr=0.02, peak_lr=0.5, end_lr=1e-4, base_momentum=0.85, max_momentum=0.95),
        OneCycle(start_lr=0.02, peak_lr=0.5, end_lr=1e-4, phases="three"),
        OneCycle(start_lr=0.02, peak_lr=0.5, end_lr=1e-4, phases="three", warmup_fraction=0.499),
        OneCycle(start_lr=0.02, peak_lr=0.5, end_lr=1e-4, warmup_fraction=0.37, warmup_shape="linear", anneal="linear"),
        Triangular(start_lr=0.01, peak_lr=0.5, end_lr=0.01, cycles=5, base_momentum=0.8, max_momentum=0.9),
        Step(start_lr=0.1, end_lr=0.001, drops=7),
        Wsd(start_lr=0.01, peak_lr=0.5, end_lr=0.0, warmup_fraction=0.1, cooldown_fraction=0.9),
        Wsd(start_lr=0.1, end_lr=0.001, cooldown="cosine"),
    ],
    "optax": [
        CosineRestarts(start_lr=0.1, end_lr=0.03, cycles=5, cycle_decay=0.5),
        OneCycle(start_lr=0.0, peak_lr=0.5, end_lr=0.0),
        OneCycle(start_lr=0.02, peak_lr=0.5, end_lr=1e-4, phases="three"),
        Triangular(start_lr=0.02, peak_lr=0.5, end_lr=0.0, cycles=2, warmup_fraction=0.25),
    ],
    "keras": [
        Cosine(start_lr=0.0, peak_lr=0.5, end_lr=0.001, warmup_fraction=0.1),
        MultiStep(start_lr=0.1, end_lr=0.001, milestones=(0.301, 0.6, 0.87)),
        OneCycle(start_lr=0.0, peak_lr=0.5, end_lr=0.0, warmup_shape="linear"),
    ],
    "transformers": [
        example("linear", 0.1, start=0.0, end=0.0),
        example("linear", 0.1, start=0.0),
        example("polynomial", 0.1, start=0.0, power=3.0),
        example("cosine", 0.1, start=0.0, end=0.0),
        example("cosine", 0.1),
        example("constant", 0.1, start=0.0),
        example("cosine_restarts", 0.1, start=0.0, end=0.0, cycles=9),
        Wsd(start_lr=0.01, peak_lr=0.5, end_lr=0.01, warmup_fraction=0.2, warmup_shape="cosine", cooldown="sqrt"),
    ],
    "transformers_trainer": [
        example("linear"),
        example("cosine", 0.2, "cosine", start=0.01, end=0.01),
        OneCycle(start_lr=0.01, peak_lr=0.5, end_lr=0.01, warmup_shape="linear"),
        example("constant", 0.1, start=0.0),
        example("cosine", 0.1),
        Wsd(start_lr=0.01, peak_lr=0.5, end_lr=0.01, warmup_fraction=0.2, cooldown="sqrt"),
    ],
    "timm": [
        CosineRestarts(start_lr=0.5, end_lr=0.01, cycles=2, cycle_growth=4, cycle_decay=0.3),
        example("cosine_restarts", 0.1, cycles=5, cycle_decay=0.5),
        example("step", 0.1, drops=2),
        Wsd(start_lr=0.01, peak_lr=0.5, end_lr=0.02, warmup_fraction=0.2, cooldown="sqrt"),
    ],
    "deepspeed": [
        OneCycle(start_lr=0.01, peak_lr=0.5, end_lr=0.01, warmup_shape="linear", anneal="linear", base_momentum=0.8,
                 max_momentum=0.9),
        Triangular(start_lr=0.01, peak_lr=0.5, end_lr=0.01),
    ],
    "megatron": [
        example("cosine", 0.1, start=0.0, end=0.0),
        example("polynomial", power=1.0),
        Wsd(start_lr=0.01, peak_lr=0.5, end_lr=0.02, warmup_fraction=0.2, cooldown="sqrt"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("framework", "schedule"), [(framework, each) for framework, listed in OWN.items() for each in listed]
)
def test_a_framework_that_has_the_schedule_gets_its_own(framework, schedule):
    exported = export(schedule, framework, 101)
    assert (exported.form, exported.exact) == ("own", True), exported.note
    # CyclicLR computes 1 + i/n - floor(1 + i/n), which costs it the last digits near its troughs.
    assert difference(schedule, exported, 101) <= max(bound(exported), 1e-13)


@pytest.mark.parametrize("warmup", [0.4999, 0.5 - 1e-15, 0.5])
@pytest.mark.parametrize("horizon", [3, 7, 101, 1000])
@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_three_phases_are_exported_exactly_however_short_the_last_is(warmup, horizon, shape):
    schedule = OneCycle(
        start_lr=0.05,
        peak_lr=0.3,
        end_lr=0.001,
        warmup_fraction=warmup,
        warmup_shape=shape,
        anneal=shape,
        phases="three",
    )
    exported = export(schedule, "torch_builtin", horizon)
    assert exported.exact
    assert difference(schedule, exported, horizon) <= 1e-12
    optimizer = running.an_optimizer()
    scheduler = made(exported, optimizer)
    for _ in range(horizon):  # the usual loop steps the scheduler after the last step, too
        optimizer.step()
        scheduler.step()
    assert exported.form == ("formula" if warmup > 0.4999 else "own")


@pytest.mark.parametrize("framework", ["torch_builtin", "transformers", "transformers_trainer"])
@pytest.mark.parametrize("family", CLOSED_FORM)
@settings(max_examples=25)
@given(data=st.data(), horizon=st.integers(1, 60))
def test_a_drawn_schedules_exact_export_trains_with_its_rates(family, framework, data, horizon):
    schedule = data.draw(moderate(family))
    if schedule.warmup_fraction > 0 and horizon > 10 and not schedule.climbs:
        # Most frameworks warm up in whole steps.
        whole = max(round(schedule.warmup_fraction * (horizon - 1)), 1) / (horizon - 1)
        fits = all(
            schedule.fits_after_rise(each.name, getattr(schedule, each.name), whole) for each in fields(schedule)
        )
        schedule = replace(schedule, warmup_fraction=whole) if fits else schedule
    exported = export(schedule, framework, horizon)
    if exported.exact:
        assert difference(schedule, exported, horizon) <= 1e-9


GROUPED = ("torch", "torch_builtin", "transformers", "timm", "lightning", "transformers_trainer", "deepspeed")


@pytest.mark.parametrize("framework", GROUPED)
@pytest.mark.parametrize(
    "schedule",
    [*map(example, PLAIN), example("linear", end=0.0), example("cosine", 0.2, start=0.0, end=0.0),
     OneCycle(start_lr=0.02, peak_lr=0.5, end_lr=1e-4), Triangular(start_lr=0.01, peak_lr=0.5, end_lr=0.01)],
)  # fmt: skip
def test_exported_code_keeps_the_ratios_of_the_groups_or_refuses_them(framework, schedule):
    exported = export(schedule, framework, 101)
    if framework == "deepspeed" and exported.form == "own":
        assert "all parameter groups one rate" in exported.note or schedule.family == "constant"
        return
    if framework == "timm" and exported.form == "own":
        run(exported, 2)  # fails or skips where timm's source is missing
    base = schedule.max_lr if framework == "transformers_trainer" else 7.0
    optimizer = torch.optim.SGD(
        [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": base * ratio} for ratio in (0.1, 1.0)],
        lr=base,
        momentum=0.9,
    )
    names = running.execute(exported.code)
    if "the parameter groups have several rates" in exported.code:
        with pytest.raises(ValueError, match="the parameter groups have several rates, and"):
            running.grouped(exported.framework, names, optimizer)
        return
    step = running.grouped(exported.framework, names, optimizer)
    for number in range(101):
        rates = [group["lr"] for group in optimizer.param_groups]
        rate = schedule.lr(number, 101)
        assert rates == pytest.approx([0.1 * rate, rate], rel=1e-6, abs=1e-12) or not exported.exact
        assert rates[0] == pytest.approx(0.1 * rates[1], rel=1e-9)
        optimizer.step()
        step(number + 1)


@pytest.mark.parametrize("framework", PYTHON)
@pytest.mark.parametrize("schedule", [example("rex"), example("cosine"), example("triangular", 0.2, "cosine")])
def test_the_note_and_the_codes_docstring_show_the_same_use(framework, schedule):
    exported = export(schedule, framework, 101)
    for call in re.findall(r"[\w.]+\([^()]*(?:\([^()]*\)[^()]*)*\)", exported.note):
        if not call.startswith("Momentum"):
            assert call in exported.code


@pytest.mark.parametrize("schedule", [example("rex"), example("cosine"), example("linear", 0.1), example("step")])
@pytest.mark.parametrize("horizon", [1, 101])
def test_the_trainer_gets_one_interface_whatever_the_schedule(schedule, horizon):
    exported = export(schedule, "transformers_trainer", horizon)
    names = running.execute(exported.code)
    assert names["arguments"]["max_steps"] == horizon
    assert isinstance(names["callbacks"], list)
    assert "make_scheduler" not in exported.code + exported.note
    assert "TrainingArguments(…, **arguments)" in exported.code
    assert "callbacks=callbacks" in exported.code


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_a_framework_cannot_express_is_said_with_the_reason(framework):
    between = example("cosine", 0.173)
    exported = export(between, framework, 101)
    if exported.form != "own" and framework not in ("torch", "lightning", "deepspeed", "csv", "json"):
        assert "17.3 steps" in exported.note


def test_the_trainers_lateness_is_what_the_note_tells():
    schedule = example("polynomial", 0.1, start=0.0, power=2.0)
    exported = export(schedule, "transformers_trainer", 101)
    assert not exported.exact
    assert f"{difference(schedule, exported, 101):.2g} of the highest rate" in exported.note


@pytest.mark.parametrize("framework", ["torch_builtin", "torch", "optax"])
def test_cycled_momentum_is_carried_along(framework):
    schedule = OneCycle(start_lr=0.02, peak_lr=0.5, end_lr=1e-4, base_momentum=0.85, max_momentum=0.95)
    names = running.execute(export(schedule, framework, 41).code)
    ours = schedule.curve(41).momentum
    if framework == "optax":
        assert [float(names["momentum"](step)) for step in range(41)] == pytest.approx(ours, rel=1e-6)
        return
    optimizer = running.an_optimizer()
    scheduler = names["make_scheduler"](optimizer)
    theirs = running.stepped(optimizer, lambda _number: scheduler.step(), 41, key="momentum")
    assert theirs == pytest.approx(ours, rel=1e-9)


@pytest.mark.parametrize("optimizer", ["SGD", "RMSprop", "Adam"])
def test_keras_trains_with_the_momentum_of_each_step(optimizer):
    import keras

    schedule = OneCycle(start_lr=0.02, peak_lr=0.5, end_lr=1e-4, base_momentum=0.85, max_momentum=0.95)
    exported = export(schedule, "keras", 12)
    assert exported.exact
    names = running.execute(exported.code)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    given = {} if optimizer == "Adam" else {"momentum": names["momentum_at"](0)}
    model.compile(getattr(keras.optimizers, optimizer)(learning_rate=names["schedule"], **given), "mse")
    rates, momenta = [], []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            rates.append(float(model.optimizer.learning_rate))
            momenta.append(getattr(model.optimizer, "beta_1" if optimizer == "Adam" else "momentum"))

    data = np.zeros((12, 1))
    model.fit(data, data, batch_size=2, epochs=2, verbose=0, callbacks=[names["Momentum"](), Watch()])
    ours = schedule.curve(12)
    assert rates == pytest.approx(ours.lr, rel=1e-6)
    assert momenta == pytest.approx(ours.momentum, rel=1e-12)


@pytest.mark.parametrize("framework", PYTHON)
@pytest.mark.parametrize("schedule", [example("cosine"), example("triangular", 0.2, "cosine"), example("wsd", 0.17)])
def test_exported_python_imports_its_framework_and_nothing_of_lehr(framework, schedule):
    tree = ast.parse(export(schedule, framework, 100).code)
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    allowed = {"math", "numpy", "torch", "torch.optim", "optax", "jax.numpy", "keras", "transformers", "timm.scheduler"}
    assert modules <= allowed


@pytest.mark.parametrize("framework", [name for name in FRAMEWORKS if name not in ("csv", "json")])
def test_a_horizon_of_a_trillion_steps_is_exported_at_once(framework):
    exported = export(example("triangular", 0.17), framework, 10**12)
    assert len(exported.code) < 10_000_000
    if framework in ("optax", "keras", "megatron"):
        assert not exported.exact


@pytest.mark.parametrize("framework", ["csv", "json"])
def test_a_list_longer_than_it_may_be_is_thinned_and_says_so(framework):
    exported = export(Cosine(start_lr=0.1, end_lr=0.001), framework, 10**12)
    assert not exported.exact
    assert "100000 evenly spaced" in exported.note


@pytest.mark.parametrize("schedule", [example("cosine", 0.2), example("cosine_restarts", 0.173), example("wsd")])
def test_an_optax_schedule_can_be_compiled_into_a_training_step(schedule):
    compiled = jax.jit(running.execute(export(schedule, "optax", 101).code)["schedule"])
    assert [float(compiled(step)) for step in range(0, 101, 10)] == pytest.approx(
        [schedule.lr(step, 101) for step in range(0, 101, 10)], rel=1e-5, abs=3e-7
    )


COMPOSED = [
    Joined(parts=(example("cosine"), example("linear", 0.2)), at=(0.4,)),
    Scaled(schedule=example("one_cycle"), factor=0.5),
    Clipped(schedule=example("cosine", 0.2), high=0.2),
]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("schedule", COMPOSED, ids=lambda schedule: schedule.family)
def test_compositions_are_exported_by_their_rates(framework, schedule):
    exported = export(schedule, framework, 101)
    assert exported.form in ("formula", "rates")
    assert difference(schedule, exported, 101) <= bound(exported)


ADAPTIVE = ("torch", "torch_builtin")


@pytest.mark.parametrize("framework", [name for name in FRAMEWORKS if name not in ADAPTIVE])
def test_an_adaptive_schedule_has_no_rates_to_export_elsewhere(framework):
    with pytest.raises(InvalidScheduleError, match="adaptive"):
        export(Plateau(start_lr=0.1, end_lr=0.001), framework, 10)


def sgd():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=7.0)


def made(exported, optimizer):
    names: dict[str, Any] = {}
    exec(exported.code, names)
    return names["make_scheduler"](optimizer)


LOSSES = [0.9, 0.9, 0.5, 0.6, 0.5, 0.7, 0.4, 0.4, 0.4, math.nan, 0.4, 0.3, 0.3, 0.3, 0.3]


@pytest.mark.parametrize("metric", ["acc@1", 'a"""b', "a\\", "\\N", "lambda", "précision", '"', "{x}"])
def test_a_plateaus_code_runs_whatever_its_metric_is_called(metric):
    for warmup in ({}, {"warmup_fraction": 0.1, "peak_lr": 0.1, "start_lr": 0.01}):
        code = export(Plateau(**{"start_lr": 0.1, "end_lr": 0.001, "metric": metric, **warmup}), "torch", 10).code
        names: dict[str, Any] = {}
        exec(code, names)
        assert metric in names["__doc__"]


@pytest.mark.parametrize("framework", ADAPTIVE)
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_plateaus_code_has_the_rates_of_its_state(framework, direction):
    schedule = Plateau(start_lr=0.1, end_lr=0.01, factor=0.3, patience=1, cooldown=1, direction=direction)
    optimizer, state = sgd(), PlateauState(schedule)
    exported = export(schedule, framework, 10)
    assert (exported.exact, exported.form == "own") == (True, framework == "torch_builtin")
    scheduler = made(exported, optimizer)
    rates = [optimizer.param_groups[0]["lr"]]
    for loss in LOSSES:
        scheduler.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [0.1, *map(state.step, LOSSES)]
    assert len(set(rates)) > 2


@pytest.mark.parametrize("framework", ADAPTIVE)
@pytest.mark.parametrize("shape", ["linear", "cosine", "exponential"])
def test_a_plateaus_code_warms_up_before_and_resumes_anywhere(framework, shape):
    schedule = Plateau(
        start_lr=0.01, peak_lr=0.1, end_lr=0.002, warmup_fraction=0.3, warmup_shape=shape, factor=0.5, patience=0
    )
    optimizer, state, horizon = sgd(), PlateauState(schedule), 45
    exported = export(schedule, framework, horizon)
    assert exported.exact
    scheduler = made(exported, optimizer)
    for step in range(horizon):
        assert optimizer.param_groups[0]["lr"] == state.lr_at(step / (horizon - 1))
        optimizer.step()
        scheduler.step()
        if step % 3 == 2:
            scheduler.evaluated(LOSSES[step // 3])
            state.step(LOSSES[step // 3])
        if step in (7, 29):
            saved, optimizer = scheduler.state_dict(), sgd()
            scheduler = made(exported, optimizer)
            scheduler.load_state_dict(saved)


def test_an_export_to_json_holds_the_schedule_itself():
    schedule = example("one_cycle")
    assert schedule_from_dict(json.loads(export(schedule, "json", 10).code)["schedule"]) == schedule


def test_an_unknown_framework_is_refused_with_all_and_the_nearest():
    with pytest.raises(InvalidValueError) as refused:
        export(example("cosine"), "optex", 10)
    (fault,) = refused.value.faults
    assert (fault.field, fault.value) == ("framework", "optex")
    assert "optax" in fault.remedy
    assert all(name in fault.bound for name in FRAMEWORKS)


@pytest.mark.parametrize("horizon", [0, -1, 1.5, True, 10**12 + 1])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_export_needs_a_horizon(framework, horizon):
    with pytest.raises(InvalidValueError, match="horizon"):
        export(example("cosine"), framework, horizon)

"""Random schedulers are imported with the same rate at every step, or refused by name.

100 of each kind by default; `pytest --hypothesis-profile=thousand` draws a thousand.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import event, given
from hypothesis import strategies as st
from torch.optim import lr_scheduler as torch_lr
from transformers import SchedulerType, TrainingArguments, get_scheduler

from lehr.errors import InexpressibleError, InvalidValueError
from lehr.schedules.portable import from_torch, from_transformers

Make = Callable[[torch.optim.Optimizer], Any]
OURS = re.compile(
    "start_lr|end_lr|peak_lr|warmup_fraction|warmup_shape|cooldown_fraction|cycle_growth|swing_decay|drops: |phases: "
    "|least_drop|direction"
)
"""Fields of schedules that no framework has an argument of the same name for."""
FAILURES = (ArithmeticError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError)
"""What torch and transformers raise where arguments do not fit together."""


def optimizer_of(lr: float, kind: Any = torch.optim.SGD) -> torch.optim.Optimizer:
    given: dict[str, Any] = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    made: torch.optim.Optimizer = kind(
        [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(2)], lr=lr, **given
    )
    return made


def trained_rates(optimizer: torch.optim.Optimizer, scheduler: Any, steps: int) -> list[float]:
    rates = []
    for step in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if step < steps - 1:
            scheduler.step()
    return rates


def rates() -> st.SearchStrategy[float]:
    return st.sampled_from([0.1, 1e-3, 3e-4, 1.0]) | st.floats(-8, 1).map(lambda power: 10.0**power)


def factors() -> st.SearchStrategy[float]:
    return st.sampled_from([0.0, 0.1, 1 / 3, 0.5, 1.0]) | st.floats(0, 1)


def steps_near(last: int) -> st.SearchStrategy[Any]:
    """A number of steps: often the last one, at times no whole number, none, or beyond."""
    return (
        st.just(last)
        | st.integers(1, last + 2)
        | st.integers(-2, 2 * last)
        | st.sampled_from([0, last / 2, float(last), 0.06 * last])
    )


@st.composite
def constants(draw: st.DrawFn, last: int) -> Make:
    factor, total = draw(factors()), draw(steps_near(last) | st.just(10**6))
    return lambda o: torch_lr.ConstantLR(o, factor=factor, total_iters=total)


@st.composite
def lines(draw: st.DrawFn, last: int) -> Make:
    start, end, total = draw(factors()), draw(factors()), draw(steps_near(last))
    return lambda o: torch_lr.LinearLR(o, start_factor=start, end_factor=end, total_iters=total)


@st.composite
def exponentials(draw: st.DrawFn, last: int) -> Make:
    gamma = draw(st.sampled_from([0.9, 0.1, 1.0, 0.0]) | st.floats(0.5, 1.1) | st.floats(-1, 2))
    return lambda o: torch_lr.ExponentialLR(o, gamma=gamma)


@st.composite
def cosines(draw: st.DrawFn, last: int) -> Make:
    total, end = draw(steps_near(last)), draw(st.sampled_from([0.0, 1e-5, -0.1]) | rates())
    return lambda o: torch_lr.CosineAnnealingLR(o, T_max=total, eta_min=end)


@st.composite
def polynomials(draw: st.DrawFn, last: int) -> Make:
    total, power = draw(steps_near(last)), draw(st.sampled_from([1.0, 2.0, 0.5, 0.0]) | st.floats(-1, 10))
    return lambda o: torch_lr.PolynomialLR(o, total_iters=total, power=power)


@st.composite
def steps(draw: st.DrawFn, last: int) -> Make:
    size, gamma = draw(steps_near(last)), draw(factors() | st.floats(-1, 2))
    return lambda o: torch_lr.StepLR(o, step_size=size, gamma=gamma)


@st.composite
def multisteps(draw: st.DrawFn, last: int) -> Make:
    milestones = draw(st.lists(st.integers(1, last) | steps_near(last), max_size=5))
    gamma = draw(st.sampled_from([0.1, 0.5]) | factors() | st.floats(-1, 2))
    return lambda o: torch_lr.MultiStepLR(o, milestones=milestones, gamma=gamma)


@st.composite
def cyclics(draw: st.DrawFn, last: int) -> Make:
    count = draw(st.integers(1, 4))
    up = draw(st.just(last / (2 * count)) | st.just(last // (2 * count)) | st.integers(1, last) | st.floats(0.3, last))
    down = draw(st.none() | st.just(last - up) | st.integers(0, last))
    low, high, gamma = draw(rates() | st.just(0.0)), draw(rates()), draw(st.floats(0.5, 1.01))
    mode = draw(st.sampled_from(["triangular", "triangular2", "exp_range"]))
    momenta = draw(st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)))
    cycles = draw(st.booleans())
    scale = draw(st.sampled_from([None, None, None, lambda x: 1.0]))
    return lambda o: torch_lr.CyclicLR(
        o, low, high, up, down, mode, gamma, scale, cycle_momentum=cycles, base_momentum=momenta[0],
        max_momentum=momenta[1],
    )  # fmt: skip


@st.composite
def one_cycles(draw: st.DrawFn, last: int) -> Make:
    total = draw(st.sampled_from([last + 1, last + 1, last + 1, last + 2]))
    momenta = draw(st.just([0.85, 0.95]) | st.lists(st.floats(0, 0.99), min_size=2, max_size=2))
    chosen: dict[str, Any] = {
        "max_lr": draw(rates()),
        "pct_start": draw(st.sampled_from([0.0, 0.3, 0.5, 2 / 3, 1.0]) | st.floats(0, 1)),
        "anneal_strategy": draw(st.sampled_from(["cos", "linear"])),
        "cycle_momentum": draw(st.booleans()),
        "base_momentum": momenta[0],
        "max_momentum": momenta[1],
        "div_factor": draw(st.sampled_from([25.0, 1.0, 0.5]) | st.floats(0.1, 1e4)),
        "final_div_factor": draw(st.sampled_from([1e4, 1.0]) | st.floats(0.1, 1e6)),
        "three_phase": draw(st.booleans()),
    }
    return lambda o: torch_lr.OneCycleLR(o, total_steps=total, **chosen)


@st.composite
def warm_restarts(draw: st.DrawFn, last: int) -> Make:
    length, growth = draw(st.integers(1, last + 1)), draw(st.integers(1, 3))
    end = draw(st.sampled_from([0, 0.01, -0.1]) | rates())
    return lambda o: torch_lr.CosineAnnealingWarmRestarts(o, T_0=length, T_mult=growth, eta_min=end)


@st.composite
def lambdas(draw: st.DrawFn, last: int) -> Make:
    factor = draw(factors())
    return lambda o: torch_lr.LambdaLR(o, [lambda step: factor**step, lambda step: factor])


@st.composite
def multiplied(draw: st.DrawFn, last: int) -> Make:
    factor = draw(factors())
    return lambda o: torch_lr.MultiplicativeLR(o, lambda step: factor)


def of_transformers(last: int) -> st.SearchStrategy[Make]:
    """Schedulers that transformers makes, with warm-ups that may end between two steps."""
    return st.sampled_from(STEPPED).flatmap(lambda name: made_by_transformers(name, last))


@st.composite
def made_by_transformers(draw: st.DrawFn, name: str, last: int) -> Make:
    keywords = draw(keywords_of(name, last))
    warmup, training = draw(steps_near(last)), draw(st.sampled_from([last, last, last, last + 1, last + 0.5]))
    return lambda o: get_scheduler(name, o, warmup, training, keywords)


SINGLE: dict[str, Callable[[int], st.SearchStrategy[Make]]] = {
    "ConstantLR": constants,
    "LinearLR": lines,
    "ExponentialLR": exponentials,
    "CosineAnnealingLR": cosines,
    "PolynomialLR": polynomials,
    "StepLR": steps,
    "MultiStepLR": multisteps,
    "CyclicLR": cyclics,
    "OneCycleLR": one_cycles,
    "CosineAnnealingWarmRestarts": warm_restarts,
    "LambdaLR": lambdas,
    "MultiplicativeLR": multiplied,
    "transformers": of_transformers,
}


def any_single(last: int) -> st.SearchStrategy[Make]:
    return st.sampled_from(sorted(SINGLE)).flatmap(lambda name: SINGLE[name](last))


@st.composite
def sequences(draw: st.DrawFn, last: int) -> Make:
    """Parts of any kind, at times each of the length of its turn; some are sequences themselves."""
    count = draw(st.integers(1, min(3, last)))
    at = draw(
        st.lists(st.integers(1, max(last - 1, 1)), min_size=count - 1, max_size=count - 1, unique=True).map(sorted)
    )
    at = draw(st.sampled_from([at, at, at, at, [last] * len(at), [each - 0.5 for each in at], [-each for each in at]]))
    turns = [max(int(end - begin), 1) for begin, end in zip([0, *at], [*at, last], strict=True)]
    parts = [draw(any_single(turn)) for turn in turns]
    if draw(st.booleans()):
        total = turns[0]
        parts[0] = lambda o: torch_lr.LinearLR(o, start_factor=0.1, total_iters=total)
    if count > 1 and draw(st.booleans()):
        parts[-2] = lambda o: torch_lr.ConstantLR(o, factor=1.0, total_iters=10**6)
    if draw(st.integers(0, 9)) == 0:
        inner = draw(any_single(turns[0]))
        parts[0] = lambda o: torch_lr.SequentialLR(o, [inner(o)], [])
    return lambda o: torch_lr.SequentialLR(o, [part(o) for part in parts], at)


@st.composite
def restarts_then_held(draw: st.DrawFn, last: int) -> Make:
    """What ends the last cycle at the last step, at a rate that is the base rate times a factor but for rounding."""
    cycles = draw(st.integers(1, 4))
    length, factor = max(last // cycles, 1), draw(factors())
    at = draw(st.sampled_from([last, length * cycles]))
    return lambda o: torch_lr.SequentialLR(
        o,
        [
            torch_lr.CosineAnnealingWarmRestarts(o, length, eta_min=o.defaults["lr"] * factor),
            torch_lr.ConstantLR(o, factor, 10**9),
        ],
        [at],
    )


@st.composite
def chains(draw: st.DrawFn, last: int) -> Make:
    parts = draw(st.lists(any_single(last), min_size=1, max_size=3))
    return lambda o: torch_lr.ChainedScheduler([part(o) for part in parts])


KINDS = {
    **SINGLE,
    "SequentialLR": sequences,
    "SequentialLR of restarts": restarts_then_held,
    "ChainedScheduler": chains,
}


def require_framework_words(refused: InvalidValueError) -> None:
    event("refused")
    told = "; ".join(f"{fault.field}: {fault.message} {fault.bound} {fault.remedy}" for fault in refused.faults)
    assert not OURS.search(told), told


def require_equal_or_refused(make: Make, lr: float, horizon: int, stepped: int) -> None:
    kind: Any = torch.optim.SGD if stepped % 2 else torch.optim.Adam
    optimizer = optimizer_of(lr, kind)
    try:
        scheduler = make(optimizer)
    except FAILURES:
        return  # there is nothing to read
    try:
        theirs = trained_rates(optimizer, scheduler, horizon)
    except FAILURES:
        theirs = None
    given_optimizer = optimizer_of(lr, kind)
    given = make(given_optimizer)
    if theirs is not None:
        trained_rates(given_optimizer, given, min(stepped + 1, horizon))
    before = [dict(group, params=None) for group in given_optimizer.param_groups]
    try:
        schedule = from_torch(given, horizon)
    except InexpressibleError as refused:
        require_framework_words(refused)
        return
    finally:
        assert [dict(group, params=None) for group in given_optimizer.param_groups] == before
    assert theirs is not None, f"{schedule} was read from a scheduler that fails"
    ours = [schedule.lr(step, horizon) for step in range(horizon)]
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-10 * max(theirs)), schedule
    event(f"read as {schedule.family}")


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_drawn_scheduler_of_torch_is_read_with_its_rates_or_refused(kind: str, data: st.DataObject) -> None:
    horizon = data.draw(st.integers(2, 40) | st.integers(2, 300), label="horizon")
    lr, stepped = data.draw(rates(), label="lr"), data.draw(st.integers(0, 5), label="stepped")
    make = data.draw(KINDS[kind](horizon - 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # transformers' of stable steps and training steps given both
        require_equal_or_refused(make, lr, horizon, stepped)


STEPPED = [each.value for each in SchedulerType if each.value not in ("reduce_lr_on_plateau", "greedy")]
SPOILT = st.sampled_from([0, -1, 0.5, 1e9, "2", "x", None, True, math.nan, math.inf, [1]])


def numbers(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Usual values mostly, and at times any other thing."""
    return usual | usual | usual | SPOILT


def keywords_of(name: str, last: int) -> st.SearchStrategy[dict[str, Any]]:
    count = st.integers(1, last) | st.floats(0, last)
    waves = numbers(st.just(0.5))
    known: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "polynomial": {"lr_end": numbers(rates() | st.just(0.0)), "power": numbers(st.floats(0.1, 5))},
        "cosine": {"num_cycles": waves},
        "cosine_with_min_lr": {"num_cycles": waves, "min_lr": numbers(rates()), "min_lr_rate": numbers(factors())},
        "cosine_warmup_with_min_lr": {
            "num_cycles": waves,
            "min_lr": numbers(rates()),
            "min_lr_rate": numbers(factors()),
            "warmup_lr_rate": numbers(factors()),
        },
        "cosine_with_restarts": {"num_cycles": numbers(st.integers(1, 12))},
        "inverse_sqrt": {"timescale": numbers(count)},
        "warmup_stable_decay": {
            "num_decay_steps": numbers(count),
            "num_stable_steps": numbers(count),
            "warmup_type": st.sampled_from(["linear", "cosine", "1-sqrt", "sqrt", 3]),
            "decay_type": st.sampled_from(["linear", "cosine", "1-sqrt", "sqrt", None]),
            "min_lr_ratio": numbers(factors()),
            "num_cycles": waves,
        },
    }
    unknown = {"eta_min": rates(), "last_epoch": st.sampled_from([-1, 0])}
    needed = {"warmup_stable_decay": ("num_decay_steps",)}.get(name, ())
    own = known.get(name, {})
    fixed = {keyword: own[keyword] for keyword in needed}
    usual = st.fixed_dictionaries(fixed, optional={each: own[each] for each in own if each not in needed})
    return usual | usual | usual | usual | st.fixed_dictionaries({}, optional=own | unknown)


def require_as_the_trainer(given: dict[str, Any], name: str, lr: float, training: int) -> None:
    config = {"lr_scheduler_type": name, "learning_rate": lr, "max_steps": training, **given}
    optimizer = optimizer_of(lr)
    try:
        # With `warmup_ratio` as in transformers 4, where it counts if there are no steps.
        warmup = given.get("warmup_steps") or given.get("warmup_ratio") or 0
        is_ratio = not given.get("warmup_steps")
        arguments = TrainingArguments(
            output_dir="unused",
            use_cpu=True,
            report_to=[],
            max_steps=training,
            learning_rate=lr,
            lr_scheduler_type=name,
            warmup_steps=0 if is_ratio else warmup,
            lr_scheduler_kwargs=given.get("lr_scheduler_kwargs"),
        )
        steps = math.ceil(training * warmup) if is_ratio else arguments.get_warmup_steps(training)
        scheduler = get_scheduler(name, optimizer, steps, training, arguments.lr_scheduler_kwargs)
        theirs = trained_rates(optimizer, scheduler, training)
    except FAILURES:
        theirs = None
    try:
        imported = from_transformers(config)
    except InvalidValueError as refused:
        require_framework_words(refused)
        return
    assert theirs is not None, f"{imported} was read from what transformers refuses"
    ours = [imported.schedule.lr(step, imported.horizon_steps) for step in range(training)]
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-10 * max(theirs))
    event("read")


@pytest.mark.parametrize("name", STEPPED)
@given(data=st.data())
def test_drawn_arguments_of_the_trainer_are_read_with_its_rates_or_refused(name: str, data: st.DataObject) -> None:
    training = data.draw(st.integers(1, 40) | st.integers(2, 300), label="max_steps")
    given: dict[str, Any] = {}
    if data.draw(st.booleans(), label="warms up"):
        given["warmup_steps"] = data.draw(st.integers(0, training + 1) | st.floats(0, training), label="warmup_steps")
    elif data.draw(st.booleans(), label="by a ratio"):
        given["warmup_ratio"] = data.draw(
            st.sampled_from([0.0, 0.06, 0.1, 1.0]) | st.floats(0, 1), label="warmup_ratio"
        )
    keywords = data.draw(st.none() | keywords_of(name, training), label="lr_scheduler_kwargs")
    if name == "warmup_stable_decay":
        keywords = keywords or {"num_decay_steps": max(training // 2, 1)}
    as_text = keywords and data.draw(st.booleans(), label="as JSON text")
    given["lr_scheduler_kwargs"] = json.dumps(keywords) if as_text else keywords
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        require_as_the_trainer(given, name, data.draw(rates(), label="learning_rate"), training)


@pytest.mark.parametrize("name", ["reduce_lr_on_plateau", "greedy"])
def test_a_name_that_follows_metrics_is_refused(name: str) -> None:
    with pytest.raises(InexpressibleError, match="follows the training's metrics"):
        from_transformers({"lr_scheduler_type": name, "learning_rate": 0.1, "max_steps": 10})

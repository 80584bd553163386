"""Exports a schedule to transformers: as a `get_scheduler` call, or as arguments of the Trainer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lehr.schedules.base import Schedule
from lehr.schedules.portable.closed_form import RATIOS, functions, set_rates
from lehr.schedules.portable.discretized import COOLDOWNS, HELD, Discretized, discretize, require
from lehr.schedules.portable.torch_closed_form import header
from lehr.schedules.sampling import spaced_steps

USAGE = """scheduler = make_scheduler(optimizer)  # sets the optimizer's rate too
trainer = transformers.Trainer(…, optimizers=(optimizer, scheduler))"""
NOTE = "transformers' own {name}."
ARGUMENTS_USAGE = """args = transformers.TrainingArguments(…, **arguments)
trainer = transformers.Trainer(…, args=args, callbacks=callbacks)"""
ARGUMENTS = "arguments = {{\n{body}}}\ncallbacks = {callbacks}\n"
FORMULA_NOTE = (
    "transformers has no such schedule: {reason}. The callback gives the Trainer's scheduler the rates of the formula."
)
CALLBACK = '''class LehrRates(transformers.TrainerCallback):
    """Gives the Trainer's scheduler the schedule's rates; parameter groups keep the ratios of their rates."""

    def on_train_begin(self, args, state, control, optimizer=None, lr_scheduler=None, **kwargs):
        scheduler = getattr(lr_scheduler, "scheduler", lr_scheduler)  # accelerate may wrap it
        scheduler.lr_lambdas = [lambda step: lr_at(step) / {top!r}] * len(scheduler.base_lrs)
        scheduler._last_lr = [rate * (lr_at(scheduler.last_epoch) / {top!r}) for rate in scheduler.base_lrs]
        for group, rate in zip(optimizer.param_groups, scheduler._last_lr):
            group["lr"] = rate
'''
MOMENTUM_CALLBACK = """
    def on_step_begin(self, args, state, control, optimizer=None, **kwargs):
        momentum = momentum_at(state.global_step)
        for group in optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            elif "momentum" in group:
                group["momentum"] = momentum
"""
HORIZON_FREE = ("constant", "constant_with_warmup", "inverse_sqrt", "warmup_stable_decay")
"""Schedules that do not depend on the number of training steps."""
SAMPLED_STEPS = 1000
"""Number of steps at which the difference in the note is measured."""


@dataclass(frozen=True, slots=True)
class Named:
    """A name from transformers.SchedulerType, with the other arguments of get_scheduler."""

    name: str
    warmup_steps: int
    training_steps: int | None
    keywords: dict[str, Any] = field(default_factory=dict)


def own(schedule: Schedule, horizon_steps: int) -> tuple[str, str]:
    """The code for `get_scheduler` and a note. Raises CannotExpressError."""
    discrete = discretize(schedule, horizon_steps)
    named = _named(discrete)
    code = f"""{header(schedule, horizon_steps, USAGE)}
from transformers import get_scheduler


{RATIOS}

def make_scheduler(optimizer):
    optimizer.defaults["lr"] = {discrete.top!r}
{set_rates(discrete.top)}    return get_scheduler(
        {json.dumps(named.name)},
        optimizer,
        num_warmup_steps={named.warmup_steps},
        num_training_steps={named.training_steps},
        scheduler_specific_kwargs={named.keywords!r},
    )
"""
    return code, NOTE.format(name=named.name)


def trainer(schedule: Schedule, horizon_steps: int) -> tuple[str, bool, str]:
    """Code for the Trainer's arguments, whether their rates are exact, and a note. Raises CannotExpressError.

    The Trainer computes most schedules over max_steps + 1 steps and takes all but the last. If transformers has the
    schedule under a name that counts its own steps, the code uses that name.
    """
    discrete = discretize(schedule, horizon_steps)
    named = _counted(discrete) or _named(discrete)
    arguments = {
        "max_steps": horizon_steps,
        "learning_rate": discrete.top,
        "lr_scheduler_type": named.name,
        "warmup_steps": named.warmup_steps,
        "lr_scheduler_kwargs": named.keywords,
    }
    code = f"{header(schedule, horizon_steps, ARGUMENTS_USAGE)}\n{_arguments(arguments, callbacks='[]')}"
    if named.training_steps == horizon_steps or named.name in HORIZON_FREE:
        return code, True, NOTE.format(name=named.name)
    note = (
        f"{NOTE.format(name=named.name)} The Trainer's schedule ends at step max_steps, one after the last that it"
        f" takes: its rates are up to {_lateness(discrete):.2g} of the highest rate above lehr's. The export to "
        "'transformers' has no such difference."
    )
    return code, False, note


def trainer_formula(schedule: Schedule, horizon_steps: int, reason: str) -> tuple[str, bool, str]:
    """The same, with a callback that replaces the rates of the Trainer's scheduler with those of the formula."""
    top = schedule.max_lr
    arguments = {"max_steps": horizon_steps, "learning_rate": top, "lr_scheduler_type": "constant"}
    callback = CALLBACK.format(top=top) + (MOMENTUM_CALLBACK if schedule.momentum_levels is not None else "")
    parts = [
        header(schedule, horizon_steps, ARGUMENTS_USAGE),
        "import math\n\nimport transformers\n\n",
        functions(schedule, horizon_steps) + "\n",
        callback + "\n",
        _arguments(arguments, callbacks="[LehrRates()]"),
    ]
    return "\n".join(parts), True, FORMULA_NOTE.format(reason=reason)


def _arguments(arguments: dict[str, object], *, callbacks: str) -> str:
    body = "".join(f"    {json.dumps(key)}: {value!r},\n" for key, value in arguments.items())
    return ARGUMENTS.format(body=body, callbacks=callbacks)


def _named(discrete: Discretized) -> Named:
    family = discrete.schedule.family
    if family == "one_cycle":
        require(discrete.choice("phases") == "two", "it has no third phase")
        family = discrete.choice("anneal")
    if family in HELD:
        return _wsd(discrete)
    require(discrete.shape in (None, "linear"), f"it has no {discrete.shape} warm-up")
    require(family in _NAMED, f"it has no {family}")
    require(not discrete.rise or discrete.start == 0 or family == "cosine", "its warm-ups start from 0")
    return _NAMED[family](discrete)


def _constant(discrete: Discretized) -> Named:
    return Named("constant_with_warmup" if discrete.rise else "constant", discrete.rise, discrete.last)


def _linear(discrete: Discretized) -> Named:
    return Named("linear", discrete.rise, discrete.last) if discrete.end == 0 else _polynomial(discrete)


def _polynomial(discrete: Discretized) -> Named:
    require(discrete.end < discrete.top, "its polynomial has to fall")
    power = discrete.parameter("power") if discrete.schedule.family == "polynomial" else 1.0
    return Named("polynomial", discrete.rise, discrete.last, {"lr_end": discrete.end, "power": power})


def _cosine(discrete: Discretized) -> Named:
    if discrete.rise and discrete.start > 0:
        # This schedule is a step early: it reaches the top at num_warmup_steps - 1, the end at num_training_steps - 1.
        ratios = {"min_lr_rate": discrete.end / discrete.top, "warmup_lr_rate": discrete.start / discrete.top}
        return Named("cosine_warmup_with_min_lr", discrete.rise + 1, discrete.last + 1, ratios)
    if discrete.end > 0:
        return Named("cosine_with_min_lr", discrete.rise, discrete.last, {"min_lr_rate": discrete.end / discrete.top})
    return Named("cosine", discrete.rise, discrete.last)


def _restarts(discrete: Discretized) -> Named:
    require(discrete.end == 0, "its cosine_with_restarts falls to 0")
    alike = discrete.parameter("cycle_growth") == discrete.parameter("cycle_decay") == 1
    require(alike, "the cycles of its cosine_with_restarts are all alike")
    cycles = int(discrete.parameter("cycles"))
    for restart in range(1, cycles):
        step, between = divmod(restart * discrete.body, cycles)
        # transformers computes the completed fraction of a cycle like this; it may round to just below 1.
        late = not between and cycles * (step / discrete.body) % 1.0 > 0.5
        require(not late, "its restarts come a step late by rounding")
    return Named("cosine_with_restarts", discrete.rise, discrete.last, {"num_cycles": cycles})


def _inverse_sqrt(discrete: Discretized) -> Named:
    timescale = discrete.body / max((discrete.top / discrete.end) ** 2 - 1, 1e-300)
    return Named("inverse_sqrt", discrete.rise, discrete.last, {"timescale": timescale})


def _wsd(discrete: Discretized) -> Named:
    cooldown, steps = discrete.fall()
    require(cooldown in COOLDOWNS, f"it has no {cooldown} cooldown")
    require(discrete.shape in (None, "linear", "cosine"), f"it has no {discrete.shape} warm-up")
    require(
        not discrete.rise or discrete.start == discrete.end,
        "its warm-up starts from the rate that the cooldown falls to",
    )
    return _stable(discrete, cooldown, steps)


def _counted(discrete: Discretized) -> Named | None:
    """A linear or cosine decay as a cooldown without a hold, which does not depend on the length of the training."""
    family = discrete.choice("anneal") if discrete.schedule.family == "one_cycle" else discrete.schedule.family
    if family not in ("linear", "cosine") or (discrete.rise and discrete.start != discrete.end):
        return None
    if discrete.shape not in (None, "linear", "cosine") or getattr(discrete.schedule, "phases", "two") != "two":
        return None
    return _stable(discrete, family, discrete.body)


def _stable(discrete: Discretized, cooldown: str, steps: int) -> Named:
    keywords = {
        "num_stable_steps": discrete.body - steps,
        "num_decay_steps": steps,
        "warmup_type": discrete.shape or "linear",
        "decay_type": COOLDOWNS[cooldown],
        "min_lr_ratio": discrete.end / discrete.top,
    }
    # Given both, transformers warns that it uses num_stable_steps.
    return Named("warmup_stable_decay", discrete.rise, None, keywords)


_NAMED: Mapping[str, Callable[[Discretized], Named]] = {
    "constant": _constant,
    "linear": _linear,
    "polynomial": _polynomial,
    "cosine": _cosine,
    "cosine_restarts": _restarts,
    "inverse_sqrt": _inverse_sqrt,
}


def _lateness(discrete: Discretized) -> float:
    """The largest difference between the schedule over its horizon and over one more step, relative to the top rate."""
    stretched = discrete.last + 1
    worst = 0.0
    for step in spaced_steps(discrete.last + 1, SAMPLED_STEPS):
        # The warm-up is counted in steps and does not change; the rest is stretched by one step.
        if step >= discrete.rise:
            later = discrete.rise + (step - discrete.rise) * discrete.body / (stretched - discrete.rise)
            worst = max(
                worst,
                abs(discrete.schedule.lr_at(later / discrete.last) - discrete.schedule.lr_at(step / discrete.last)),
            )
    return worst / discrete.top

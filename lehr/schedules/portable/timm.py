"""Exports a schedule as timm schedulers that step after each update."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from lehr.schedules.base import Schedule
from lehr.schedules.portable.closed_form import RATIOS, arguments_text, set_rates
from lehr.schedules.portable.discretized import COOLDOWNS, HELD, Discretized, discretize, require
from lehr.schedules.portable.torch_closed_form import header

USAGE = """scheduler = make_scheduler(optimizer)  # sets the optimizer's rate too
for step, batch in enumerate(batches):
    ...
    optimizer.step()
    scheduler.step_update(step + 1)"""
NOTE = "timm's own {name}, counted in optimizer steps."
EARLY_NOTE = " Its MultiStepLRScheduler drops one step before each of decay_t, so each stands there one step late."

Scheduler = tuple[str, dict[str, object]]


def own(schedule: Schedule, horizon_steps: int) -> tuple[str, str]:
    """The code and a note. Raises CannotExpressError."""
    discrete = discretize(schedule, horizon_steps)
    name, arguments = _scheduler(discrete)
    if discrete.rise:
        require(discrete.shape == "linear", f"it has no {discrete.shape} warm-up")
        arguments = arguments | {"warmup_t": discrete.rise, "warmup_lr_init": discrete.start}
        if name != "WSDLRScheduler":  # its warm-up always precedes t_initial
            arguments["warmup_prefix"] = True
    absolute = [argument for argument in ("lr_min", "warmup_lr_init") if arguments.get(argument)]
    rates = set_rates(discrete.top, one_for_all=(name, absolute[0]) if absolute else None)
    code = f"""{header(schedule, horizon_steps, USAGE)}
from timm.scheduler import {name}


{RATIOS}

def make_scheduler(optimizer):
{rates}    return {name}(optimizer, {arguments_text(arguments)}, t_in_epochs=False)
"""
    return code, NOTE.format(name=name) + (EARLY_NOTE if name == "MultiStepLRScheduler" else "")


def _scheduler(discrete: Discretized) -> Scheduler:
    family = discrete.schedule.family
    if family == "one_cycle":
        require(discrete.choice("phases") == "two", "it has no third phase")
        family = discrete.choice("anneal")
    require(family in _SCHEDULERS, f"it has no {family}")
    return _SCHEDULERS[family](discrete)


def _exponential(discrete: Discretized) -> Scheduler:
    return "StepLRScheduler", {"decay_t": 1, "decay_rate": (discrete.end / discrete.top) ** (1 / discrete.body)}


def _cosine(discrete: Discretized) -> Scheduler:
    return "CosineLRScheduler", {"t_initial": discrete.body, "lr_min": discrete.end}


def _polynomial(discrete: Discretized) -> Scheduler:
    power = discrete.parameter("power") if discrete.schedule.family == "polynomial" else 1.0
    return "PolyLRScheduler", {"t_initial": discrete.body, "lr_min": discrete.end, "power": power}


def _k_decay(discrete: Discretized) -> Scheduler:
    bent: dict[str, object] = {"t_initial": discrete.body, "lr_min": discrete.end, "k_decay": discrete.parameter("k")}
    if discrete.choice("curve_shape") == "cosine":
        return "CosineLRScheduler", bent
    return "PolyLRScheduler", {**bent, "power": discrete.parameter("power")}


def _stepwise(discrete: Discretized) -> Scheduler:
    steps, factor = discrete.drops()
    return "MultiStepLRScheduler", {"decay_t": [step - discrete.rise + 1 for step in steps], "decay_rate": factor}


def _restarts(discrete: Discretized) -> Scheduler:
    cycles, growth = discrete.cycles(), discrete.parameter("cycle_growth")
    decay = discrete.parameter("cycle_decay")
    require(discrete.top * decay ** (len(cycles) - 1) >= discrete.end, "its restarts may fall below lr_min")
    if growth != 1:
        for k in range(1, len(cycles)):
            # timm computes the cycle with this logarithm, which may round to just below a whole number.
            found = math.floor(math.log(1 - sum(cycles[:k]) / cycles[0] * (1 - growth), growth))
            require(found == k, "its restarts come a step late by rounding")
    return "CosineLRScheduler", {
        "t_initial": cycles[0],
        "lr_min": discrete.end,
        "cycle_mul": growth,
        "cycle_decay": decay,
        "cycle_limit": len(cycles),
    }


def _wsd(discrete: Discretized) -> Scheduler:
    cooldown, steps = discrete.fall()
    require(cooldown in COOLDOWNS, f"it has no {cooldown} cooldown")
    decay = {"decay_t": steps, "decay_fn": COOLDOWNS[cooldown]}
    return "WSDLRScheduler", {"t_initial": discrete.body, "lr_min": discrete.end, **decay}


_SCHEDULERS: Mapping[str, Callable[[Discretized], Scheduler]] = {
    "constant": lambda discrete: ("StepLRScheduler", {"decay_t": 1, "decay_rate": 1.0}),
    "exponential": _exponential,
    "cosine": _cosine,
    "linear": _polynomial,
    "polynomial": _polynomial,
    "step": _stepwise,
    "multistep": _stepwise,
    "cosine_restarts": _restarts,
    "k_decay": _k_decay,
    **dict.fromkeys(HELD, _wsd),
}

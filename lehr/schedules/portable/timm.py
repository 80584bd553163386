"""A schedule in timm's schedulers, stepped by update."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from lehr.schedules.base import Schedule
from lehr.schedules.portable.closed_form import RATIOS, arguments_text, set_rates
from lehr.schedules.portable.discretized import COOLDOWNS, HELD, Laid, lay, require
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
    laid = lay(schedule, horizon_steps)
    name, arguments = _scheduler(laid)
    if laid.rise:
        require(laid.shape == "linear", f"it has no {laid.shape} warm-up")
        arguments = arguments | {"warmup_t": laid.rise, "warmup_lr_init": laid.start}
        if name != "WSDLRScheduler":  # whose warm-up always comes before t_initial
            arguments["warmup_prefix"] = True
    absolute = [argument for argument in ("lr_min", "warmup_lr_init") if arguments.get(argument)]
    rates = set_rates(laid.top, one_for_all=(name, absolute[0]) if absolute else None)
    code = f"""{header(schedule, horizon_steps, USAGE)}
from timm.scheduler import {name}


{RATIOS}

def make_scheduler(optimizer):
{rates}    return {name}(optimizer, {arguments_text(arguments)}, t_in_epochs=False)
"""
    return code, NOTE.format(name=name) + (EARLY_NOTE if name == "MultiStepLRScheduler" else "")


def _scheduler(laid: Laid) -> Scheduler:
    family = laid.schedule.family
    if family == "one_cycle":
        require(laid.choice("phases") == "two", "it has no third phase")
        family = laid.choice("anneal")
    require(family in _SCHEDULERS, f"it has no {family}")
    return _SCHEDULERS[family](laid)


def _exponential(laid: Laid) -> Scheduler:
    return "StepLRScheduler", {"decay_t": 1, "decay_rate": (laid.end / laid.top) ** (1 / laid.body)}


def _cosine(laid: Laid) -> Scheduler:
    return "CosineLRScheduler", {"t_initial": laid.body, "lr_min": laid.end}


def _polynomial(laid: Laid) -> Scheduler:
    power = laid.parameter("power") if laid.schedule.family == "polynomial" else 1.0
    return "PolyLRScheduler", {"t_initial": laid.body, "lr_min": laid.end, "power": power}


def _k_decay(laid: Laid) -> Scheduler:
    bent: dict[str, object] = {"t_initial": laid.body, "lr_min": laid.end, "k_decay": laid.parameter("k")}
    if laid.choice("curve_shape") == "cosine":
        return "CosineLRScheduler", bent
    return "PolyLRScheduler", {**bent, "power": laid.parameter("power")}


def _stepwise(laid: Laid) -> Scheduler:
    steps, factor = laid.drops()
    return "MultiStepLRScheduler", {"decay_t": [step - laid.rise + 1 for step in steps], "decay_rate": factor}


def _restarts(laid: Laid) -> Scheduler:
    cycles, growth = laid.cycles(), laid.parameter("cycle_growth")
    decay = laid.parameter("cycle_decay")
    require(laid.top * decay ** (len(cycles) - 1) >= laid.end, "its restarts may fall below lr_min")
    if growth != 1:
        for k in range(1, len(cycles)):
            # timm's own way to tell the cycle, whose logarithm may round to just below a whole number.
            found = math.floor(math.log(1 - sum(cycles[:k]) / cycles[0] * (1 - growth), growth))
            require(found == k, "its restarts come a step late by rounding")
    return "CosineLRScheduler", {
        "t_initial": cycles[0],
        "lr_min": laid.end,
        "cycle_mul": growth,
        "cycle_decay": decay,
        "cycle_limit": len(cycles),
    }


def _wsd(laid: Laid) -> Scheduler:
    cooldown, steps = laid.fall()
    require(cooldown in COOLDOWNS, f"it has no {cooldown} cooldown")
    decay = {"decay_t": steps, "decay_fn": COOLDOWNS[cooldown]}
    return "WSDLRScheduler", {"t_initial": laid.body, "lr_min": laid.end, **decay}


_SCHEDULERS: Mapping[str, Callable[[Laid], Scheduler]] = {
    "constant": lambda laid: ("StepLRScheduler", {"decay_t": 1, "decay_rate": 1.0}),
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

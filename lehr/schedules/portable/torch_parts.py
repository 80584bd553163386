"""Imports single torch schedulers, each over its own steps from 0, at its base rate, to `last`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from lehr.schedules.base import Schedule
from lehr.schedules.families.constant import Constant
from lehr.schedules.families.cosine import Cosine
from lehr.schedules.families.cosine_restarts import CosineRestarts
from lehr.schedules.families.exp_range import ExpRange
from lehr.schedules.families.exponential import Exponential
from lehr.schedules.families.linear import Linear
from lehr.schedules.families.momentum_cycling import CycledSchedule
from lehr.schedules.families.one_cycle import OneCycle
from lehr.schedules.families.plateau import Plateau
from lehr.schedules.families.polynomial import Polynomial
from lehr.schedules.families.triangular import Triangular
from lehr.schedules.families.triangular2 import Triangular2
from lehr.schedules.portable.reading import BY_RATES, expect, refuse, risen, stepwise, within

STRETCH = "Give horizon_steps={}: the scheduler ends with its last step, and fewer may be trained."
MAX_DROPS = MAX_CYCLES = 100
LR = {"start_lr": "lr", "peak_lr": "lr", "end_lr": "lr"}
NAMES: Mapping[str, Mapping[str, str]] = {
    "ConstantLR": {"start_lr": "factor", "end_lr": "factor"},
    "LinearLR": {"start_lr": "start_factor", "end_lr": "end_factor", "peak_lr": "end_factor"},
    "ExponentialLR": {**LR, "end_lr": "gamma"},
    "CosineAnnealingLR": {**LR, "end_lr": "eta_min"},
    "PolynomialLR": LR,
    "StepLR": {**LR, "end_lr": "gamma", "drops": "step_size", "milestones": "step_size"},
    "MultiStepLR": {**LR, "end_lr": "gamma", "drops": "milestones"},
    "CyclicLR": {
        "start_lr": "base_lr",
        "end_lr": "base_lr",
        "peak_lr": "max_lr",
        "cycles": "step_size_up",
        "warmup_fraction": "step_size_up",
        "swing_decay": "gamma",
    },
    "OneCycleLR": {
        "start_lr": "div_factor",
        "end_lr": "final_div_factor",
        "peak_lr": "max_lr",
        "warmup_fraction": "pct_start",
        "phases": "three_phase",
    },
    "ReduceLROnPlateau": {**LR, "end_lr": "min_lr", "least_drop": "eps", "direction": "mode"},
    "SequentialLR": {**LR, "start_lr": "start_factor", "warmup_fraction": "milestones", "end_lr": "schedulers",
                     "cycle_growth": "T_mult", "cycles": "T_0", "cooldown_fraction": "milestones"},
}  # fmt: skip
"""For each torch scheduler: the schedule's fields, and the names of the torch arguments that they come from."""


def alike(field: str, values: Any) -> float:
    """The common value of all parameter groups. Raises InexpressibleError if they differ."""
    found = {float(value) for value in values}
    if len(found) != 1:
        refuse(field, "differ between parameter groups", "one value for all", sorted(found), "Read each group's alone.")
    return found.pop()


def ends_with(steps: float, last: int, field: str) -> None:
    """Raises InexpressibleError unless a number of steps ends at the last step."""
    if steps != last:
        remedy = STRETCH.format(int(steps) + 1) if steps >= 1 and steps == int(steps) else BY_RATES
        refuse(field, "is not the horizon's last step", repr(last), steps, remedy)


def is_reached(step: float, last: int) -> bool:
    """Whether torch reaches this step, which it compares with whole steps after the first."""
    return 1 <= step <= last and step == int(step)


def _constant(scheduler: Any, base: float, last: int) -> Schedule:
    if scheduler.factor != 1 and is_reached(scheduler.total_iters, last):
        refuse("total_iters", "jumps up", f"> {last}, or a factor of 1", scheduler.total_iters)
    return Constant(start_lr=base * scheduler.factor, end_lr=base * scheduler.factor)


def _linear(scheduler: Any, base: float, last: int) -> Schedule:
    start, end = base * scheduler.start_factor, base * scheduler.end_factor
    if scheduler.total_iters < 1 or start == end:
        return Constant(start_lr=start, end_lr=start)  # with zero steps torch stays at the first rate
    if end > start:
        if scheduler.total_iters != int(scheduler.total_iters):
            refuse("total_iters", "is no whole number", "a whole number", scheduler.total_iters)
        held = Constant(start_lr=end, end_lr=end)
        return risen(held, start, within("total_iters", scheduler.total_iters, last), last)
    ends_with(scheduler.total_iters, last, "total_iters")
    return Linear(start_lr=start, end_lr=end)


def _exponential(scheduler: Any, base: float, last: int) -> Schedule:
    if not 0 < scheduler.gamma <= 1:
        refuse("gamma", "is out of bounds", "in (0, 1]", scheduler.gamma)
    return Exponential(start_lr=base, end_lr=base * scheduler.gamma**last)


def _cosine(scheduler: Any, base: float, last: int) -> Schedule:
    ends_with(scheduler.T_max, last, "T_max")
    return Cosine(start_lr=base, end_lr=scheduler.eta_min)


def _polynomial(scheduler: Any, base: float, last: int) -> Schedule:
    ends_with(scheduler.total_iters, last, "total_iters")
    return Polynomial(start_lr=base, end_lr=0.0, power=scheduler.power)


def _step(scheduler: Any, base: float, last: int) -> Schedule:
    size = scheduler.step_size
    if not size >= 1 or size != int(size):
        refuse("step_size", "is no number of steps", "a whole number >= 1", size)
    if last // int(size) > MAX_DROPS:
        refuse("step_size", "drops more than a hundred times", f">= {last // MAX_DROPS + 1}", size)
    return stepwise(base, scheduler.gamma, range(int(size), last + 1, int(size)), last)


def _multistep(scheduler: Any, base: float, last: int) -> Schedule:
    if 0 in scheduler.milestones:
        refuse("milestones", "drop at the first step", ">= 1", 0, "Lower the optimizer's rate instead.")
    reached = [int(step) for step in scheduler.milestones.elements() if is_reached(step, last)]
    return stepwise(base, scheduler.gamma, reached, last)


def _warm_restarts(scheduler: Any, _base: float, _last: int) -> Schedule:
    refuse("scheduler", "restarts at its last step, where lehr ends", "a SequentialLR that ends the last cycle",
           "CosineAnnealingWarmRestarts")  # fmt: skip


def restarts_then_end(restarts: Any, base: float, last: int) -> Schedule:
    """Warm restarts whose last cycle ends at the last step."""
    lengths = (restarts.T_0 * restarts.T_mult**cycle for cycle in range(MAX_CYCLES))
    ends = list(itertools.takewhile(lambda end: end <= last, itertools.accumulate(lengths)))
    ends_with(ends[-1] if ends else restarts.T_0, last, "T_0")
    return CosineRestarts(start_lr=base, end_lr=restarts.eta_min, cycles=len(ends), cycle_growth=float(restarts.T_mult))


def _momenta(scheduler: Any) -> dict[str, float]:
    if not scheduler.cycle_momentum:
        return {}
    groups = scheduler.optimizer.param_groups
    names = ("base_momentum", "max_momentum")
    return {name: alike(name, [group[name] for group in groups]) for name in names}


def _one_cycle(scheduler: Any, _base: float, last: int) -> Schedule:
    ends_with(scheduler.total_steps - 1, last, "total_steps")
    groups, phases = scheduler.optimizer.param_groups, scheduler._schedule_phases
    if phases[-2]["end_step"] >= last:
        refuse("pct_start", "leaves the last phase no steps", "less", (phases[0]["end_step"] + 1) / (last + 1))
    shape: Any = "cosine" if scheduler._anneal_func_type == "cos" else "linear"
    return OneCycle(
        start_lr=alike("initial_lr", [group["initial_lr"] for group in groups]),
        peak_lr=alike("max_lr", [group["max_lr"] for group in groups]),
        end_lr=alike("min_lr", [group["min_lr"] for group in groups]),
        warmup_fraction=phases[0]["end_step"] / last,
        warmup_shape=shape,
        anneal=shape,
        phases="three" if len(phases) == 3 else "two",
        **_momenta(scheduler),
    )


def _cyclic(scheduler: Any, base: float, last: int) -> Schedule:
    if scheduler._scale_fn_custom is not None:
        refuse("scale_fn", "has no equal here", "None", "a function")
    kinds: dict[str, type[CycledSchedule]] = {
        "triangular": Triangular,
        "triangular2": Triangular2,
        "exp_range": ExpRange,
    }
    cycles = max(round(last / scheduler.total_size), 1)
    own: dict[str, Any] = {"cycles": cycles, **_momenta(scheduler)}
    ends_with(cycles * scheduler.total_size, last, "step_size_up")
    if scheduler.step_ratio != 0.5:
        expect("step_size_down", cycles, 1, "Rise as long as you fall, or take one cycle.")
        own["warmup_fraction"] = scheduler.step_ratio
    if scheduler.mode == "exp_range":
        expect("cycle_momentum", scheduler.cycle_momentum, False)
        own["swing_decay"] = scheduler.gamma**last
    peak = alike("max_lr", scheduler.max_lrs)
    return kinds[scheduler.mode](start_lr=base, peak_lr=peak, end_lr=base, **own)


def _plateau(scheduler: Any, base: float, _last: int) -> Schedule:
    return Plateau(
        start_lr=base,
        end_lr=alike("min_lr", scheduler.min_lrs),
        factor=scheduler.factor,
        patience=scheduler.patience,
        cooldown=scheduler.cooldown,
        threshold=scheduler.threshold,
        threshold_mode="relative" if scheduler.threshold_mode == "rel" else "absolute",
        direction="minimize" if scheduler.mode == "min" else "maximize",
        least_drop=scheduler.eps,
    )


PARTS: Mapping[str, Callable[[Any, float, int], Schedule]] = {
    "ConstantLR": _constant,
    "LinearLR": _linear,
    "ExponentialLR": _exponential,
    "CosineAnnealingLR": _cosine,
    "CosineAnnealingWarmRestarts": _warm_restarts,
    "PolynomialLR": _polynomial,
    "StepLR": _step,
    "MultiStepLR": _multistep,
    "CyclicLR": _cyclic,
    "OneCycleLR": _one_cycle,
    "ReduceLROnPlateau": _plateau,
}

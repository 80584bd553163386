"""Reads torch's configured schedulers. Nothing here imports torch: a scheduler is known by its class's name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from lehr.schedules.base import Schedule
from lehr.schedules.constant import Constant
from lehr.schedules.cosine import Cosine
from lehr.schedules.cosine_restarts import CosineRestarts
from lehr.schedules.cycled import CycledSchedule
from lehr.schedules.exp_range import ExpRange
from lehr.schedules.exponential import Exponential
from lehr.schedules.linear import Linear
from lehr.schedules.one_cycle import OneCycle
from lehr.schedules.plateau import Plateau
from lehr.schedules.polynomial import Polynomial
from lehr.schedules.portable.from_transformers import Settings, read
from lehr.schedules.portable.reading import expect, refuse, risen, stepwise, within
from lehr.schedules.scaled import Scaled
from lehr.schedules.steps import MAX_HORIZON_STEPS, require_whole
from lehr.schedules.triangular import Triangular
from lehr.schedules.triangular2 import Triangular2
from lehr.schedules.wsd import Wsd

LAMBDAS = {
    "_get_constant_lambda": "constant",
    "_get_constant_schedule_with_warmup_lr_lambda": "constant_with_warmup",
    "_get_linear_schedule_with_warmup_lr_lambda": "linear",
    "_get_polynomial_decay_schedule_with_warmup_lr_lambda": "polynomial",
    "_get_cosine_schedule_with_warmup_lr_lambda": "cosine_with_min_lr",
    "_get_cosine_with_min_lr_schedule_with_warmup_lr_rate_lambda": "cosine_warmup_with_min_lr",
    "_get_cosine_with_hard_restarts_schedule_with_warmup_lr_lambda": "cosine_with_restarts",
    "_get_inverse_sqrt_schedule_lr_lambda": "inverse_sqrt",
    "_get_wsd_scheduler_lambda": "warmup_stable_decay",
}
"""The functions that transformers gives its LambdaLRs, and the schedules they are."""
STRETCH = "Give horizon_steps={}: the scheduler ends with its last step, and fewer may be trained."


def from_torch(scheduler: Any, horizon_steps: int) -> Schedule:
    """The schedule whose rates a configured torch.optim.lr_scheduler gives over a horizon of optimizer steps.

    It does not matter how far the scheduler has been stepped. LambdaLR is read where transformers made it.
    Raises InexpressibleError, with what would have to differ, for one that has no equal here.
    """
    require_whole("horizon_steps", horizon_steps, 2, MAX_HORIZON_STEPS)
    own = getattr(scheduler, "schedule", None)
    if isinstance(own, Schedule):
        expect("horizon_steps", horizon_steps, getattr(scheduler, "horizon_steps", horizon_steps), "Give that one.")
        factor = _alike("factors", getattr(scheduler, "factors", [1.0]))
        if factor == 0:
            refuse("factors", "are 0, which no schedule is", "> 0", factor)
        return own if factor == 1 else Scaled(schedule=own, factor=factor)
    _reader(scheduler)
    return _read(scheduler, _one_rate(scheduler), horizon_steps - 1)


def _read(scheduler: Any, base: float, last: int) -> Schedule:
    return _reader(scheduler)(scheduler, base, last)


def _reader(scheduler: object) -> Callable[[Any, float, int], Schedule]:
    kind = type(scheduler)
    if kind.__module__ != "torch.optim.lr_scheduler" or kind.__name__ not in _READERS:
        bound = "one of " + ", ".join(_READERS)
        refuse("scheduler", "has no equal here", bound, f"{kind.__module__}.{kind.__name__}")
    return _READERS[kind.__name__]


def _one_rate(scheduler: Any) -> float:
    """The rate that the scheduler scales, the same for all parameter groups."""
    rates = getattr(scheduler, "base_lrs", None)
    if rates is None:
        rates = [group.get("initial_lr", group["lr"]) for group in scheduler.optimizer.param_groups]
    return _alike("param_groups", rates)


def _alike(field: str, values: Any) -> float:
    found = {float(value) for value in values}
    if len(found) != 1:
        refuse(field, "differ between parameter groups", "one value for all", sorted(found), "Read each group's alone.")
    return found.pop()


def _constant(scheduler: Any, base: float, last: int) -> Schedule:
    if scheduler.factor != 1 and scheduler.total_iters <= last:
        refuse("total_iters", "jumps up", f"> {last}, or a factor of 1", scheduler.total_iters)
    return Constant(start_lr=base * scheduler.factor, end_lr=base * scheduler.factor)


def _linear(scheduler: Any, base: float, last: int) -> Schedule:
    start, end = base * scheduler.start_factor, base * scheduler.end_factor
    if end > start:
        held = Constant(start_lr=end, end_lr=end)
        return risen(held, start, within("total_iters", scheduler.total_iters, last), last)
    _ends_with(scheduler.total_iters, last, "total_iters")
    return Linear(start_lr=start, end_lr=end)


def _exponential(scheduler: Any, base: float, last: int) -> Schedule:
    if not 0 < scheduler.gamma <= 1:
        refuse("gamma", "is out of bounds", "in (0, 1]", scheduler.gamma)
    return Exponential(start_lr=base, end_lr=base * scheduler.gamma**last)


def _cosine(scheduler: Any, base: float, last: int) -> Schedule:
    _ends_with(scheduler.T_max, last, "T_max")
    return Cosine(start_lr=base, end_lr=scheduler.eta_min)


def _polynomial(scheduler: Any, base: float, last: int) -> Schedule:
    _ends_with(scheduler.total_iters, last, "total_iters")
    return Polynomial(start_lr=base, end_lr=0.0, power=scheduler.power)


def _ends_with(steps: int, last: int, field: str) -> None:
    if steps != last:
        refuse(field, "is not the horizon's last step", repr(last), steps, STRETCH.format(steps + 1))


def _step(scheduler: Any, base: float, last: int) -> Schedule:
    count = last // scheduler.step_size
    if count > 100:
        refuse("step_size", "drops more than a hundred times", f">= {last // 100 + 1}", scheduler.step_size)
    return stepwise(base, scheduler.gamma, range(scheduler.step_size, last + 1, scheduler.step_size), last)


def _multistep(scheduler: Any, base: float, last: int) -> Schedule:
    return stepwise(base, scheduler.gamma, scheduler.milestones.elements(), last)


def _warm_restarts(scheduler: Any, _base: float, _last: int) -> Schedule:
    refuse("scheduler", "restarts at its last step, where lehr ends", "a SequentialLR that ends the last cycle",
           "CosineAnnealingWarmRestarts")  # fmt: skip


def _restarts_then_end(restarts: Any, base: float, last: int) -> Schedule:
    growth, cycles, length, end = restarts.T_mult, 0, restarts.T_0, 0
    while end < last:
        end, length, cycles = end + length, length * growth, cycles + 1
    _ends_with(end, last, "T_0")
    return CosineRestarts(start_lr=base, end_lr=restarts.eta_min, cycles=cycles, cycle_growth=float(growth))


def _momenta(scheduler: Any) -> dict[str, float]:
    if not scheduler.cycle_momentum:
        return {}
    groups = scheduler.optimizer.param_groups
    names = ("base_momentum", "max_momentum")
    return {name: _alike(name, [group[name] for group in groups]) for name in names}


def _one_cycle(scheduler: Any, _base: float, last: int) -> Schedule:
    _ends_with(scheduler.total_steps - 1, last, "total_steps")
    groups, phases = scheduler.optimizer.param_groups, scheduler._schedule_phases
    shape: Any = "cosine" if scheduler._anneal_func_type == "cos" else "linear"
    return OneCycle(
        start_lr=_alike("initial_lr", [group["initial_lr"] for group in groups]),
        peak_lr=_alike("max_lr", [group["max_lr"] for group in groups]),
        end_lr=_alike("min_lr", [group["min_lr"] for group in groups]),
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
    own: dict[str, Any] = {"cycles": round(last / scheduler.total_size), **_momenta(scheduler)}
    _ends_with(own["cycles"] * int(scheduler.total_size), last, "step_size_up")
    if scheduler.step_ratio != 0.5:
        expect("step_size_down", own["cycles"], 1, "Rise as long as you fall, or take one cycle.")
        own["warmup_fraction"] = scheduler.step_ratio
    if scheduler.mode == "exp_range":
        expect("cycle_momentum", scheduler.cycle_momentum, False)
        own["swing_decay"] = scheduler.gamma**last
    peak = _alike("max_lr", scheduler.max_lrs)
    return kinds[scheduler.mode](start_lr=base, peak_lr=peak, end_lr=base, **own)


def _sequence(scheduler: Any, base: float, last: int) -> Schedule:
    parts, at = list(scheduler._schedulers), [0, *scheduler._milestones]
    first, rise, start = parts[0], 0, base
    kinds = [type(part).__name__ for part in parts]
    if len(parts) > 1 and kinds[0] == "LinearLR" and first.end_factor == 1 and first.start_factor < 1:
        expect("milestones", at[1], first.total_iters, "End the warm-up at its milestone.")
        rise, start = within("milestones", first.total_iters, last), base * first.start_factor
        parts, at, kinds = parts[1:], at[1:], kinds[1:]
    return risen(_rest(parts, kinds, [step - rise for step in at], base, last - rise), start, rise, last)


def _rest(parts: list[Any], kinds: list[str], at: list[int], base: float, last: int) -> Schedule:
    """What follows the warm-up; `at` has the steps at which the parts begin."""
    if len(parts) == 1:
        return _read(parts[0], base, last)
    if kinds == ["CosineAnnealingWarmRestarts", "ConstantLR"] and at[1] == last:
        expect("factor", base * parts[1].factor, parts[0].eta_min, "End where the cycles end.")
        return _restarts_then_end(parts[0], base, last)
    if len(parts) == 2 and kinds[0] == "ConstantLR" and parts[0].factor == 1:
        cooldowns: dict[type[Schedule], Any] = {Linear: "linear", Cosine: "cosine", Exponential: "exponential"}
        fall = _read(parts[1], base, last - at[1])
        if type(fall) in cooldowns:
            share = (last - at[1]) / last
            return Wsd(start_lr=base, end_lr=fall.end_lr, cooldown_fraction=share, cooldown=cooldowns[type(fall)])
    return refuse("schedulers", "have no equal here", "a linear warm-up, a hold and a fall, or some of them", kinds)


def _lambda(scheduler: Any, base: float, last: int) -> Schedule:
    """What transformers made: a LambdaLR whose function is a partial one, with its settings as keywords."""
    function = scheduler.lr_lambdas[0]
    written = function.func if isinstance(function, functools.partial) else function
    name = LAMBDAS.get(getattr(written, "__name__", ""))
    if name is None or written.__module__ != "transformers.optimization":
        refuse(
            "lr_lambda", "is a function, which tells nothing of itself", "one that transformers made", repr(function)
        )
    keywords = dict(getattr(function, "keywords", {}))
    training, warmup = keywords.get("num_training_steps") or last, keywords.get("num_warmup_steps", 0)
    imported = read(name, Settings(base, int(warmup), int(training), {"min_lr_rate": 0.0, **keywords}))
    _ends_with(imported.horizon_steps - 1, last, "num_training_steps")
    return imported.schedule


def _plateau(scheduler: Any, base: float, _last: int) -> Schedule:
    return Plateau(
        start_lr=base,
        end_lr=_alike("min_lr", scheduler.min_lrs),
        factor=scheduler.factor,
        patience=scheduler.patience,
        cooldown=scheduler.cooldown,
        threshold=scheduler.threshold,
        threshold_mode="relative" if scheduler.threshold_mode == "rel" else "absolute",
        direction="minimize" if scheduler.mode == "min" else "maximize",
        least_drop=scheduler.eps,
    )


_READERS: Mapping[str, Callable[[Any, float, int], Schedule]] = {
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
    "SequentialLR": _sequence,
    "LambdaLR": _lambda,
    "ReduceLROnPlateau": _plateau,
}

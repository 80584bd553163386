"""Imports torch's configured schedulers. Does not import torch: it recognizes a scheduler by its class name."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from lehr.schedules.base import Schedule
from lehr.schedules.compositions.scaled import Scaled
from lehr.schedules.families.cosine import Cosine
from lehr.schedules.families.exponential import Exponential
from lehr.schedules.families.linear import Linear
from lehr.schedules.families.wsd import Wsd
from lehr.schedules.portable.from_transformers import read
from lehr.schedules.portable.reading import BY_RATES, expect, is_same, refuse, risen, speaking_of, within
from lehr.schedules.portable.replay import require_equal
from lehr.schedules.portable.torch_parts import NAMES, PARTS, alike, ends_with, restarts_then_end
from lehr.schedules.portable.transformers_named import Settings
from lehr.schedules.sampling import MAX_HORIZON_STEPS, require_whole

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
"""The functions in the LambdaLRs of transformers, and the names of their schedules."""


def from_torch(scheduler: Any, horizon_steps: int) -> Schedule:
    """The schedule with the rates of a configured torch.optim.lr_scheduler over a horizon of optimizer steps.

    The scheduler may have been stepped already. A LambdaLR is supported if transformers made it. The rates
    of up to 100,000 steps are compared with those of a copy of the scheduler.
    Raises InexpressibleError, with the required change, if lehr has no equivalent schedule.
    """
    require_whole("horizon_steps", horizon_steps, 2, MAX_HORIZON_STEPS)
    own = getattr(scheduler, "schedule", None)
    if isinstance(own, Schedule):
        return _own(scheduler, own, horizon_steps)
    _reader(scheduler)
    schedule = _read(scheduler, _one_rate(scheduler), horizon_steps - 1)
    if not schedule.adaptive:
        require_equal(schedule, scheduler, horizon_steps)
    return schedule


def _own(scheduler: Any, schedule: Schedule, horizon_steps: int) -> Schedule:
    """The schedule of a lehr.torch.ScheduleLR."""
    expect("horizon_steps", horizon_steps, getattr(scheduler, "horizon_steps", horizon_steps), "Give that one.")
    factor = alike("factors", getattr(scheduler, "factors", [1.0]))
    if factor == 0:
        refuse("factors", "are 0, which no schedule is", "> 0", factor)
    with speaking_of({"factor": "factors", "schedule": "factors"}):
        return schedule if factor == 1 else Scaled(schedule=schedule, factor=factor)


def _read(scheduler: Any, base: float, last: int) -> Schedule:
    with speaking_of(NAMES.get(type(scheduler).__name__, {})):
        return _reader(scheduler)(scheduler, base, last)


def _reader(scheduler: object) -> Callable[[Any, float, int], Schedule]:
    kind = type(scheduler)
    if kind.__module__ != "torch.optim.lr_scheduler" or kind.__name__ not in _READERS:
        bound = "one of " + ", ".join(_READERS)
        refuse("scheduler", "has no equal here", bound, f"{kind.__module__}.{kind.__name__}")
    return _READERS[kind.__name__]


def _one_rate(scheduler: Any) -> float:
    """The base rate of the scheduler, the same for all parameter groups."""
    rates = getattr(scheduler, "base_lrs", None)
    if rates is None:
        rates = [group.get("initial_lr", group["lr"]) for group in scheduler.optimizer.param_groups]
    return alike("param_groups", rates)


def _sequence(scheduler: Any, base: float, last: int) -> Schedule:
    parts, at = _reached_parts(scheduler, last)
    first, rise, start = parts[0], 0, base
    kinds = [type(part).__name__ for part in parts]
    if len(parts) > 1 and kinds[0] == "LinearLR" and first.end_factor == 1 and first.start_factor < 1:
        expect("milestones", at[1], first.total_iters, "End the warm-up at its milestone.")
        within("milestones", at[1], last)
        rise, start = at[1], base * first.start_factor
        parts, at, kinds = parts[1:], at[1:], kinds[1:]
    body = _rest(parts, kinds, [step - rise for step in at], base, last - rise)
    return risen(_from_base(body, base), start, rise, last) if rise else body


def _reached_parts(scheduler: Any, last: int) -> tuple[list[Any], list[int]]:
    """The parts that begin within the horizon, and the steps at which they begin."""
    milestones = list(scheduler._milestones)
    if any(step != int(step) for step in milestones) or any(b <= a for a, b in itertools.pairwise(milestones)):
        refuse("milestones", "are not increasing whole numbers", "increasing whole numbers", milestones)
    reached = [(part, int(step)) for part, step in zip(scheduler._schedulers, [0, *milestones], strict=True)]
    kept = [each for number, each in enumerate(reached) if number == 0 or each[1] <= last]
    while len(kept) > 1 and kept[1][1] <= 0:
        kept = kept[1:]
    if kept[0][1] != 0:
        refuse("milestones", "begin before the first step", ">= 0", milestones)
    return [part for part, _ in kept], [step for _, step in kept]


def _from_base(body: Schedule, base: float) -> Schedule:
    """The schedule of a later part. Raises InexpressibleError if its first rate is not the last of the part before."""
    if not is_same(body.start_lr, base):
        refuse("schedulers", "jump where one gives way to the next", f"a part that begins at {base!r}", body.start_lr)
    return body


def _rest(parts: list[Any], kinds: list[str], at: list[int], base: float, last: int) -> Schedule:
    """The schedule after the warm-up; `at` lists the steps at which the parts begin."""
    if len(parts) == 1:
        return _read(parts[0], base, last)
    if kinds == ["CosineAnnealingWarmRestarts", "ConstantLR"] and at[1] == last:
        end = base * parts[1].factor
        if not is_same(end, parts[0].eta_min):
            refuse("factor", "ends elsewhere than the cycles", repr(parts[0].eta_min / base), parts[1].factor, BY_RATES)
        return restarts_then_end(parts[0], base, last)
    if len(parts) == 2 and kinds[0] == "ConstantLR" and parts[0].factor == 1 and at[1] < last:
        cooldowns: dict[type[Schedule], Any] = {Linear: "linear", Cosine: "cosine", Exponential: "exponential"}
        fall = _from_base(_read(parts[1], base, last - at[1]), base)
        if type(fall) in cooldowns:
            share = (last - at[1]) / last
            return Wsd(start_lr=base, end_lr=fall.end_lr, cooldown_fraction=share, cooldown=cooldowns[type(fall)])
    return refuse("schedulers", "have no equal here", "a linear warm-up, a hold and a fall, or some of them", kinds)


def _lambda(scheduler: Any, base: float, last: int) -> Schedule:
    """The schedule of a LambdaLR of transformers, whose function is a `partial` with the settings as keywords."""
    function, *others = scheduler.lr_lambdas
    if any(other is not function for other in others):
        refuse("lr_lambda", "differs between parameter groups", "one function for all", "several", BY_RATES)
    written = function.func if isinstance(function, functools.partial) else function
    name = LAMBDAS.get(getattr(written, "__name__", ""))
    if name is None or written.__module__ != "transformers.optimization":
        refuse(
            "lr_lambda", "is a function, which tells nothing of itself", "one that transformers made", repr(function)
        )
    keywords = dict(getattr(function, "keywords", {}))
    training, warmup = keywords.pop("num_training_steps", None), keywords.pop("num_warmup_steps", 0)
    scale = base / keywords.pop("lr_init", base)
    if "lr_end" in keywords:
        keywords["lr_end"] *= scale
    if name == "cosine_with_min_lr":
        keywords.setdefault("min_lr_rate", 0.0)
    imported = read(name, Settings(base, warmup, last if training is None else training, keywords))
    ends_with(imported.horizon_steps - 1, last, "num_training_steps")
    return imported.schedule


_READERS: Mapping[str, Callable[[Any, float, int], Schedule]] = {
    **PARTS,
    "SequentialLR": _sequence,
    "LambdaLR": _lambda,
}

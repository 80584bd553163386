"""Imports the named schedules of transformers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lehr.schedules.base import Schedule
from lehr.schedules.families.constant import Constant
from lehr.schedules.families.cosine import Cosine
from lehr.schedules.families.cosine_restarts import CosineRestarts
from lehr.schedules.families.inverse_sqrt import InverseSqrt
from lehr.schedules.families.linear import Linear
from lehr.schedules.families.polynomial import Polynomial
from lehr.schedules.families.wsd import Wsd
from lehr.schedules.portable.discretized import COOLDOWNS
from lehr.schedules.portable.reading import as_number, expect, is_same, refuse, risen, within

KEYWORDS: Mapping[str, tuple[str, ...]] = {
    "linear": (),
    "polynomial": ("lr_end", "power"),
    "cosine": ("num_cycles",),
    "cosine_with_min_lr": ("num_cycles", "min_lr", "min_lr_rate"),
    "cosine_warmup_with_min_lr": ("num_cycles", "min_lr", "min_lr_rate", "warmup_lr_rate"),
    "cosine_with_restarts": ("num_cycles",),
    "inverse_sqrt": ("timescale",),
    "warmup_stable_decay": (
        "num_decay_steps",
        "num_stable_steps",
        "warmup_type",
        "decay_type",
        "min_lr_ratio",
        "num_cycles",
    ),
}
"""The keywords that get_scheduler accepts in scheduler_specific_kwargs, for each schedule."""
IGNORES_KEYWORDS = ("constant", "constant_with_warmup")
"""Schedules to which get_scheduler does not pass these keywords."""
NAMES: Mapping[str, Mapping[str, str]] = {
    "polynomial": {"end_lr": "lr_end"},
    "cosine_with_min_lr": {"end_lr": "min_lr"},
    "cosine_warmup_with_min_lr": {"end_lr": "min_lr", "start_lr": "warmup_lr_rate", "peak_lr": "warmup_lr_rate"},
    "cosine_with_restarts": {"cycles": "num_cycles"},
    "inverse_sqrt": {"end_lr": "timescale"},
    "warmup_stable_decay": {
        "end_lr": "min_lr_ratio",
        "peak_lr": "min_lr_ratio",
        "cooldown_fraction": "num_decay_steps",
    },
}
"""For each schedule: lehr's fields, and the names of the keywords that they come from."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The arguments of get_scheduler: the highest rate, the warm-up and the training in steps, and the keywords."""

    peak: float
    warmup: float
    training: float
    keywords: Mapping[str, Any]

    def optional(self, name: str) -> float | None:
        """A numeric keyword whose default in transformers is None."""
        return None if self.keywords.get(name) is None else self.number(name, 0.0)

    def number(self, name: str, default: float) -> float:
        value = self.keywords.get(name, default)
        number = as_number(value)
        if number is None:
            refuse(name, "is not a number", "a finite number", value, "Give a number.")
        return number


Read = tuple[Schedule, float]
"""A schedule and the last step of its horizon."""


def _behind(settings: Settings, body: Schedule, start: float = 0.0) -> Read:
    last: Any = settings.training
    rise = within("warmup_steps", settings.warmup, last)
    return risen(body, start, rise, last), settings.training


def _constant(settings: Settings) -> Read:
    return Constant(start_lr=settings.peak, end_lr=settings.peak), settings.training


def _constant_with_warmup(settings: Settings) -> Read:
    return _behind(settings, Constant(start_lr=settings.peak, end_lr=settings.peak))


def _linear(settings: Settings) -> Read:
    return _behind(settings, Linear(start_lr=settings.peak, end_lr=0.0))


def _polynomial(settings: Settings) -> Read:
    end, power = settings.number("lr_end", 1e-7), settings.number("power", 1.0)
    if not 0 <= end < settings.peak:
        refuse("lr_end", "is not below the learning rate", f"in [0, {settings.peak!r})", end, "Lower it.")
    if power == 1:
        return _behind(settings, Linear(start_lr=settings.peak, end_lr=end))
    return _behind(settings, Polynomial(start_lr=settings.peak, end_lr=end, power=power))


def _expect_half_a_wave(settings: Settings) -> None:
    expect("num_cycles", settings.number("num_cycles", 0.5), 0.5)


def _cosine(settings: Settings) -> Read:
    _expect_half_a_wave(settings)
    return _behind(settings, Cosine(start_lr=settings.peak, end_lr=0.0))


def _cosine_with_min_lr(settings: Settings) -> Read:
    _expect_half_a_wave(settings)
    return _behind(settings, Cosine(start_lr=settings.peak, end_lr=_least(settings)))


def _cosine_warmup_with_min_lr(settings: Settings) -> Read:
    """This schedule is a step early: its warm-up ends at num_warmup_steps - 1."""
    _expect_half_a_wave(settings)
    last: Any = settings.training - 1
    rise = settings.warmup - 1
    if rise < 0 or last < 1 or rise != int(rise):
        bound = "a whole number >= 1"
        refuse("warmup_steps", "is none, and its cosine starts a step late", bound, settings.warmup, "Warm up.")
    ratio = settings.optional("warmup_lr_rate")
    if rise == 0 and ratio is not None:
        expect("warmup_lr_rate", ratio, 1.0, "Warm up over two steps or more.")
    start = settings.peak / settings.warmup if ratio is None else ratio * settings.peak
    body = Cosine(start_lr=settings.peak, end_lr=_least(settings))
    return risen(body, start, within("warmup_steps", rise, last), last), last


def _least(settings: Settings) -> float:
    least, rate = settings.optional("min_lr"), settings.optional("min_lr_rate")
    if (least is None) == (rate is None):
        message = "has no lowest rate" if least is None else "has two lowest rates"
        refuse("lr_scheduler_kwargs", message, "min_lr or min_lr_rate", dict(settings.keywords), "Give one of the two.")
    return least if least is not None else settings.peak * (rate or 0.0)


def _restarts(settings: Settings) -> Read:
    cycles, left = settings.number("num_cycles", 1), settings.training - settings.warmup
    if cycles != int(cycles):
        refuse("num_cycles", "is no whole number", "a whole number", cycles)
    schedule, last = _behind(settings, CosineRestarts(start_lr=settings.peak, end_lr=0.0, cycles=int(cycles)))
    for restart in range(1, int(cycles)):
        after = restart * left / cycles
        # transformers computes the completed fraction of a cycle like this; it may round to just below 1.
        is_late = (settings.warmup + after).is_integer() and cycles * (after / left) % 1.0 > 0.5
        if is_late:
            refuse("num_cycles", "restarts a step late by rounding, in transformers", "another number", cycles)
    return schedule, last


def _inverse_sqrt(settings: Settings) -> Read:
    timescale = settings.optional("timescale")
    timescale = (settings.warmup or 10_000) if timescale is None else timescale
    # transformers subtracts the warm-up from it and adds the step, so a tiny value is lost to rounding.
    if timescale <= 0 or not is_same(settings.warmup + (timescale - settings.warmup), timescale):
        refuse("timescale", "is out of bounds", "> 0", timescale, "Leave it out, or give a number of steps.")
    left = settings.training - within("warmup_steps", settings.warmup, math.ceil(settings.training))
    end = settings.peak / math.sqrt(1 + left / timescale)
    return _behind(settings, InverseSqrt(start_lr=settings.peak, end_lr=end))


def _wsd(settings: Settings) -> Read:
    decay, training = settings.number("num_decay_steps", 0), settings.training
    stable = settings.optional("num_stable_steps")
    stable = training - settings.warmup - decay if stable is None else stable
    # If given explicitly, the stages may end at the last trained step instead of one later.
    last: Any = settings.warmup + stable + decay
    if decay < 1 or stable < 0 or last not in (training, training - 1):
        remedy = "Give stages that fill the training."
        refuse("num_decay_steps", "and the other stages leave steps over", f"together {training}", last, remedy)
    names: Any = {theirs: ours for ours, theirs in COOLDOWNS.items()}
    decay_type = settings.keywords.get("decay_type", "cosine")
    warmup_type = settings.keywords.get("warmup_type", "linear")
    if not isinstance(decay_type, str) or decay_type not in names:
        refuse("decay_type", "is unknown", "one of " + ", ".join(names), decay_type)
    if warmup_type not in ("linear", "cosine"):
        refuse("warmup_type", "has no equal here", "linear or cosine", warmup_type)
    if decay_type == "cosine":
        _expect_half_a_wave(settings)
    least = settings.peak * settings.number("min_lr_ratio", 0.0)
    share = decay / (stable + decay)
    body = Wsd(start_lr=settings.peak, end_lr=least, cooldown_fraction=share, cooldown=names[decay_type])
    return risen(body, least, within("warmup_steps", settings.warmup, last), last, warmup_type), last


READERS: Mapping[str, Callable[[Settings], Read]] = {
    "constant": _constant,
    "constant_with_warmup": _constant_with_warmup,
    "linear": _linear,
    "polynomial": _polynomial,
    "cosine": _cosine,
    "cosine_with_min_lr": _cosine_with_min_lr,
    "cosine_warmup_with_min_lr": _cosine_warmup_with_min_lr,
    "cosine_with_restarts": _restarts,
    "inverse_sqrt": _inverse_sqrt,
    "warmup_stable_decay": _wsd,
}

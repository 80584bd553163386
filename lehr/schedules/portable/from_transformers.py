"""Reads the schedules of transformers: the Trainer's arguments, and what get_scheduler makes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lehr.errors import Fault, InexpressibleError, InvalidValueError
from lehr.schedules.base import Schedule
from lehr.schedules.constant import Constant
from lehr.schedules.cosine import Cosine
from lehr.schedules.cosine_restarts import CosineRestarts
from lehr.schedules.documents import suggest
from lehr.schedules.inverse_sqrt import InverseSqrt
from lehr.schedules.linear import Linear
from lehr.schedules.polynomial import Polynomial
from lehr.schedules.portable.laid import COOLDOWNS
from lehr.schedules.portable.reading import expect, refuse, risen, within
from lehr.schedules.steps import MAX_HORIZON_STEPS, require_whole
from lehr.schedules.wsd import Wsd


@dataclass(frozen=True, slots=True)
class Imported:
    """A schedule and the horizon over which it is to be laid: `schedule.lr(step, horizon_steps)`."""

    schedule: Schedule
    horizon_steps: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What get_scheduler is told: the highest rate, the warm-up and the training in steps, and the keywords."""

    peak: float
    warmup: int
    training: int
    keywords: Mapping[str, Any]

    def keyword(self, name: str, default: Any = None) -> Any:
        value = self.keywords.get(name)
        return default if value is None else value

    def number(self, name: str, default: float) -> float:
        value = self.keyword(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            refuse(name, "is not a number", "a number", value, "Give a number.")
        return float(value)


def from_transformers(config: Any, training_steps: int | None = None) -> Imported:
    """The schedule that the Trainer follows, from its TrainingArguments or a mapping with their names.

    Read are learning_rate, lr_scheduler_type, lr_scheduler_kwargs, warmup_steps (a number of steps, or below 1
    a part of the training), warmup_ratio and, unless `training_steps` is given, max_steps. The Trainer ends most
    schedules one step after the last one that it takes, so the horizon told is mostly training_steps + 1.
    Raises InexpressibleError for a schedule that has no equal here, InvalidValueError for values out of bounds.
    """

    def get(name: str) -> Any:
        return config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)

    steps: Any = training_steps if training_steps is not None else get("max_steps")
    require_whole("training_steps", steps, 1, MAX_HORIZON_STEPS - 1, "Give training_steps, or a max_steps above 0.")
    peak = _rate(get("learning_rate"))
    keywords = get("lr_scheduler_kwargs") or {}
    name = get("lr_scheduler_type") or "linear"
    settings = Settings(peak, _warmup(get("warmup_steps") or get("warmup_ratio") or 0, steps), steps, keywords)
    return read(str(getattr(name, "value", name)), settings)


def read(name: str, settings: Settings) -> Imported:
    """The schedule of a name of transformers.SchedulerType."""
    if name not in _READERS:
        adaptive = name in ("reduce_lr_on_plateau", "greedy")
        message = "follows the training's metrics" if adaptive else "is unknown"
        remedy = "Choose one of steps alone." if adaptive else suggest(name, _READERS, "a schedule")
        bound = "one of " + ", ".join(_READERS)
        raise InexpressibleError(Fault("lr_scheduler_type", message, bound, name, remedy))
    schedule, last = _READERS[name](settings)
    return Imported(schedule, last + 1)


def _rate(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InvalidValueError(Fault("learning_rate", "is no rate", "a number above 0", value, "Give learning_rate."))
    return float(value)


def _warmup(value: object, steps: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise InvalidValueError(Fault("warmup_steps", "is out of bounds", "a number >= 0", value, "Give a number."))
    return int(value) if value >= 1 else math.ceil(steps * value)


def _behind(settings: Settings, body: Schedule, start: float = 0.0) -> tuple[Schedule, int]:
    rise = within("warmup_steps", settings.warmup, settings.training)
    return risen(body, start, rise, settings.training), settings.training


def _constant(settings: Settings) -> tuple[Schedule, int]:
    return Constant(start_lr=settings.peak, end_lr=settings.peak), settings.training


def _constant_with_warmup(settings: Settings) -> tuple[Schedule, int]:
    return _behind(settings, Constant(start_lr=settings.peak, end_lr=settings.peak))


def _linear(settings: Settings) -> tuple[Schedule, int]:
    return _behind(settings, Linear(start_lr=settings.peak, end_lr=0.0))


def _polynomial(settings: Settings) -> tuple[Schedule, int]:
    end, power = settings.number("lr_end", 1e-7), settings.number("power", 1.0)
    if power == 1:
        return _behind(settings, Linear(start_lr=settings.peak, end_lr=end))
    return _behind(settings, Polynomial(start_lr=settings.peak, end_lr=end, power=power))


def _cosine(settings: Settings) -> tuple[Schedule, int]:
    expect("num_cycles", settings.keyword("num_cycles", 0.5), 0.5)
    return _behind(settings, Cosine(start_lr=settings.peak, end_lr=0.0))


def _cosine_with_min_lr(settings: Settings) -> tuple[Schedule, int]:
    expect("num_cycles", settings.keyword("num_cycles", 0.5), 0.5)
    return _behind(settings, Cosine(start_lr=settings.peak, end_lr=_least(settings)))


def _cosine_warmup_with_min_lr(settings: Settings) -> tuple[Schedule, int]:
    """The schedule that is one step early: its warm-up ends at num_warmup_steps - 1."""
    expect("num_cycles", settings.keyword("num_cycles", 0.5), 0.5)
    last, rise = settings.training - 1, settings.warmup - 1
    if rise < 0 or last < 1:
        refuse("warmup_steps", "is 0, where its cosine starts a step late", ">= 1", settings.warmup, "Warm up.")
    ratio = settings.number("warmup_lr_rate", 1 / settings.warmup)
    body = Cosine(start_lr=settings.peak, end_lr=_least(settings))
    return risen(body, ratio * settings.peak, within("warmup_steps", rise, last), last), last


def _least(settings: Settings) -> float:
    if settings.keyword("min_lr") is not None:
        return settings.number("min_lr", 0.0)
    if settings.keyword("min_lr_rate") is None:
        refuse(
            "lr_scheduler_kwargs", "has no lowest rate", "min_lr or min_lr_rate", dict(settings.keywords), "Give it."
        )
    return settings.peak * settings.number("min_lr_rate", 0.0)


def _restarts(settings: Settings) -> tuple[Schedule, int]:
    cycles = settings.keyword("num_cycles", 1)
    if cycles != int(cycles):
        refuse("num_cycles", "is no whole number", "a whole number", cycles)
    return _behind(settings, CosineRestarts(start_lr=settings.peak, end_lr=0.0, cycles=int(cycles)))


def _inverse_sqrt(settings: Settings) -> tuple[Schedule, int]:
    timescale = settings.number("timescale", settings.warmup or 10_000)
    left = settings.training - within("warmup_steps", settings.warmup, settings.training)
    end = settings.peak / math.sqrt(1 + left / timescale)
    return _behind(settings, InverseSqrt(start_lr=settings.peak, end_lr=end))


def _wsd(settings: Settings) -> tuple[Schedule, int]:
    expect("num_cycles", settings.keyword("num_cycles", 0.5), 0.5)
    decay, last = int(settings.number("num_decay_steps", 0)), settings.training
    stable = settings.keyword("num_stable_steps", last - settings.warmup - decay)
    # Given outright, the stages may end with the last step that is trained instead of one later.
    last = settings.warmup + stable + decay
    if decay < 1 or stable < 0 or last not in (settings.training, settings.training - 1):
        remedy = "Give stages that fill the training."
        refuse(
            "num_decay_steps", "and the other stages leave steps over", f"together {settings.training}", last, remedy
        )
    names: Any = {theirs: ours for ours, theirs in COOLDOWNS.items()}
    decay_type = settings.keyword("decay_type", "cosine")
    warmup_type = settings.keyword("warmup_type", "linear")
    if decay_type not in names or warmup_type not in ("linear", "cosine"):
        refuse("lr_scheduler_kwargs", "have no equal here", "a linear or cosine warm-up", dict(settings.keywords))
    least = settings.peak * settings.number("min_lr_ratio", 0.0)
    body = Wsd(
        start_lr=settings.peak,
        end_lr=least,
        cooldown_fraction=decay / (stable + decay),
        cooldown=names[decay_type],
    )
    return risen(body, least, within("warmup_steps", settings.warmup, last), last, warmup_type), last


_READERS: Mapping[str, Callable[[Settings], tuple[Schedule, int]]] = {
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

"""Imports the schedules of transformers: from the Trainer's arguments, or by the names of get_scheduler."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lehr.errors import Fault, InexpressibleError, InvalidValueError, suggest
from lehr.schedules.base import Schedule
from lehr.schedules.portable.reading import as_number, refuse, speaking_of
from lehr.schedules.portable.transformers_named import IGNORES_KEYWORDS, KEYWORDS, NAMES, READERS, Settings
from lehr.schedules.sampling import MAX_HORIZON_STEPS, require_whole


@dataclass(frozen=True, slots=True)
class Imported:
    """A schedule and its horizon: the rate is `schedule.lr(step, horizon_steps)`."""

    schedule: Schedule
    horizon_steps: int


def from_transformers(config: Any, training_steps: int | None = None) -> Imported:
    """The Trainer's schedule, from its TrainingArguments or a mapping with the same names.

    Reads learning_rate, lr_scheduler_type, lr_scheduler_kwargs (an object, or its JSON text), warmup_steps (a
    number of steps, or below 1 a fraction of the training), warmup_ratio (a fraction of the training, if warmup_steps
    is 0) and, unless `training_steps` is given, max_steps. The Trainer's schedules mostly end one step after the last
    step of the training, so that the horizon is usually training_steps + 1.
    Raises InexpressibleError if lehr has no equivalent schedule, InvalidValueError for values out of bounds.
    """

    def get(name: str) -> Any:
        return config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)

    given = training_steps if training_steps is not None else get("max_steps")
    remedy = "Give training_steps, or a max_steps above 0."
    steps = require_whole("training_steps", given, 1, MAX_HORIZON_STEPS - 1, remedy)
    peak = _rate(get("learning_rate"))
    keywords = _keywords(get("lr_scheduler_kwargs"))
    name = get("lr_scheduler_type") or "linear"
    warmup = _warmup(get("warmup_steps"), get("warmup_ratio"), steps)
    return read(str(getattr(name, "value", name)), Settings(peak, warmup, steps, keywords))


def read(name: str, settings: Settings) -> Imported:
    """The schedule with a name from transformers.SchedulerType."""
    if name not in READERS:
        adaptive = name in ("reduce_lr_on_plateau", "greedy")
        message = "follows the training's metrics" if adaptive else "is unknown"
        remedy = "Choose one of steps alone." if adaptive else suggest(name, READERS, "a schedule")
        bound = "one of " + ", ".join(READERS)
        raise InexpressibleError(Fault("lr_scheduler_type", message, bound, name, remedy))
    if name not in IGNORES_KEYWORDS:
        _require_known(name, settings.keywords)
    with speaking_of({"start_lr": "learning_rate", "warmup_fraction": "warmup_steps", **NAMES.get(name, {})}):
        schedule, last = READERS[name](settings)
    if last != int(last):
        refuse("num_training_steps", "is no whole number", "a whole number", last, "Give a whole number.")
    return Imported(schedule, int(last) + 1)


def _require_known(name: str, keywords: Mapping[str, Any]) -> None:
    known = (*KEYWORDS[name], "last_epoch")
    for keyword, value in keywords.items():
        if keyword not in known:
            remedy = suggest(keyword, known, "a keyword") + " transformers takes no other."
            refuse(
                f"lr_scheduler_kwargs.{keyword}",
                f"is no keyword of {name}",
                "one of " + ", ".join(known),
                value,
                remedy,
            )
    if keywords.get("last_epoch", -1) != -1:
        refuse("last_epoch", "begins later", "-1", keywords["last_epoch"], "Leave it out.")


def _rate(value: object) -> float:
    rate = as_number(value)
    if rate is None or rate <= 0:
        raise InvalidValueError(Fault("learning_rate", "is no rate", "a number above 0", value, "Give learning_rate."))
    return rate


def _keywords(value: object) -> Mapping[str, Any]:
    """The keywords, which a configuration file may contain as JSON text."""
    given = value
    if isinstance(value, str):
        try:
            given = json.loads(value)
        except ValueError:
            given = None
        if isinstance(given, dict):
            given = {name: _converted(each) for name, each in given.items()}
    elif not value:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        bound = 'an object such as {"num_cycles": 3}, or one as JSON text'
        refuse("lr_scheduler_kwargs", "is not an object", bound, value, "Give an object.")
    return given


def _converted(value: Any) -> Any:
    """A value of the keywords' JSON text, converted as in transformers: digits in quotes become numbers."""
    if isinstance(value, str) and value.replace(".", "", 1).isdigit():
        return int(value) if value.isdigit() else float(value)
    return value


def _warmup(steps: object, ratio: object, training: int) -> int:
    """The number of the Trainer's warm-up steps; the ratio applies only if no steps are given."""
    given = _share("warmup_steps", steps, math.inf)
    share = _share("warmup_ratio", ratio, 1.0)
    if given == 0:
        return math.ceil(training * share)
    return int(given) if given >= 1 else math.ceil(training * given)


def _share(name: str, value: object, high: float) -> float:
    number = 0.0 if value is None else as_number(value)
    if number is None or not 0 <= number <= high:
        bound = "a number >= 0" if high == math.inf else f"a number in [0, {high:g}]"
        raise InvalidValueError(Fault(name, "is out of bounds", bound, value, f"Give {bound}."))
    return number

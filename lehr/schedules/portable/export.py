"""Exports a schedule to a training framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

from lehr.errors import Fault, InvalidValueError, suggest
from lehr.schedules.base import Schedule
from lehr.schedules.portable import (
    deepspeed,
    keras,
    megatron,
    optax,
    rates,
    timm,
    torch_builtin,
    torch_like,
    transformers,
)
from lehr.schedules.portable.discretized import CannotExpressError
from lehr.schedules.sampling import progress_at

Form = Literal["own", "formula", "rates"]


@dataclass(frozen=True, slots=True)
class Export:
    """An exported schedule.

    `exact`: whether training with the code uses the schedule's rate at every step, up to the
    framework's precision. `form`: `own`, the framework's own schedule; `formula`,
    lehr's formula as code; `rates`, the rates by step. `note`: additional remarks.
    """

    framework: str
    code: str
    exact: bool
    form: Form
    note: str


Own = Callable[[Schedule, int], tuple[str, str]]
"""Writes the framework's own schedule and a note, or raises CannotExpressError."""
Always = Callable[[Schedule, int], tuple[str, bool, str]]
"""Writes code that works for every schedule; returns it, whether it is exact, and a note."""
Otherwise = Callable[[Schedule, int, str], tuple[str, bool, str]]
"""The same for a schedule that the framework's own schedules cannot express, given the reason."""


@dataclass(frozen=True, slots=True)
class Framework:
    """An export target: `name` is used in requests, `title` is for display."""

    name: str
    title: str
    write: Callable[[Schedule, int], tuple[str, bool, Form, str]]


def _own_or(own: Own, form: Form, otherwise: Otherwise) -> Callable[[Schedule, int], tuple[str, bool, Form, str]]:
    def write(schedule: Schedule, horizon_steps: int) -> tuple[str, bool, Form, str]:
        try:
            code, note = own(schedule, horizon_steps)
        except CannotExpressError as reason:
            code, exact, note = otherwise(schedule, horizon_steps, str(reason))
            return code, exact, form, note
        return code, True, "own", note

    return write


def _always(form: Form, always: Always) -> Callable[[Schedule, int], tuple[str, bool, Form, str]]:
    def write(schedule: Schedule, horizon_steps: int) -> tuple[str, bool, Form, str]:
        code, exact, note = always(schedule, horizon_steps)
        return code, exact, form, note

    return write


def _trainer(schedule: Schedule, horizon_steps: int) -> tuple[str, bool, Form, str]:
    try:
        code, exact, note = transformers.trainer(schedule, horizon_steps)
    except CannotExpressError as reason:
        code, exact, note = transformers.trainer_formula(schedule, horizon_steps, str(reason))
        return code, exact, "formula", note
    return code, exact, "own", note


def _formula(name: str) -> Otherwise:
    return partial(torch_like.formula, name)


FRAMEWORKS: Mapping[str, Framework] = MappingProxyType(
    {
        each.name: each
        for each in (
            Framework("torch", "PyTorch, closed form", _always("formula", torch_like.torch)),
            Framework(
                "torch_builtin",
                "PyTorch's own schedulers",
                _own_or(torch_builtin.own, "formula", _formula("torch_builtin")),
            ),
            Framework("optax", "optax", _own_or(optax.own, "rates", optax.by_step)),
            Framework("keras", "Keras 3", _own_or(keras.own, "rates", keras.by_step)),
            Framework(
                "transformers",
                "transformers.get_scheduler",
                _own_or(transformers.own, "formula", _formula("transformers")),
            ),
            Framework("transformers_trainer", "transformers.TrainingArguments", _trainer),
            Framework("lightning", "Lightning", _always("formula", torch_like.lightning)),
            Framework("timm", "timm", _own_or(timm.own, "formula", _formula("timm"))),
            Framework("deepspeed", "DeepSpeed", _own_or(deepspeed.own, "formula", _formula("deepspeed"))),
            Framework("megatron", "Megatron-LM", _own_or(megatron.own, "rates", partial(rates.instead, "Megatron-LM"))),
            Framework("csv", "CSV", _always("rates", rates.as_csv)),
            Framework("json", "JSON", _always("rates", rates.as_json)),
        )
    }
)

ADAPTIVE = ("torch", "torch_builtin")
"""The frameworks that also support an adaptive schedule."""


def export(schedule: Schedule, framework: str, horizon_steps: int) -> Export:
    """The schedule as code, flags or a table for one of `FRAMEWORKS`.

    `horizon_steps` is the number of optimizer steps in the training, 1 to MAX_HORIZON_STEPS. If the
    framework has no schedule with these rates, the code computes or lists the rates by step instead.
    Raises InvalidValueError for an unknown framework or a horizon out of bounds, InvalidScheduleError for an
    adaptive schedule that the framework does not support.
    """
    progress_at(0, horizon_steps)
    if framework not in ADAPTIVE:
        schedule.require_closed_form()
    if framework not in FRAMEWORKS:
        bound = "one of " + ", ".join(FRAMEWORKS)
        remedy = suggest(framework, FRAMEWORKS, "a framework")
        raise InvalidValueError(Fault("framework", "is unknown", bound, framework, remedy))
    code, exact, form, note = FRAMEWORKS[framework].write(schedule, horizon_steps)
    return Export(framework, code, exact, form, note)

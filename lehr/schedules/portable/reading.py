"""Helpers of the importers: errors for unsupported schedules, and schedules with a rise or drops."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from numbers import Real
from typing import Any, NoReturn

from lehr.errors import Fault, InexpressibleError, InvalidScheduleError
from lehr.schedules.base import Schedule
from lehr.schedules.compositions.composition import Composed
from lehr.schedules.families.constant import Constant
from lehr.schedules.families.multistep import MultiStep
from lehr.schedules.families.step import Step
from lehr.schedules.families.wsd import Wsd

BY_RATES = "Or compute its rates, and fit a schedule to them with lehr.schedules.fit."
ROUNDING = 1e-9
"""Relative tolerance within which two rates count as equal."""


def refuse(field: str, message: str, bound: str, value: object, remedy: str = BY_RATES) -> NoReturn:
    """Raises InexpressibleError with a single fault."""
    raise InexpressibleError(Fault(field, message, bound, value, remedy))


def expect(field: str, value: object, wanted: object, remedy: str = BY_RATES) -> None:
    """Raises InexpressibleError unless the value is `wanted`."""
    if value != wanted:
        refuse(field, "has no equal here", repr(wanted), value, remedy)


def is_same(value: float, other: float) -> bool:
    """Whether two rates are equal within rounding."""
    return math.isclose(value, other, rel_tol=ROUNDING)


def as_number(value: object) -> float | None:
    """A setting as a finite number, also from NumPy; None if it is not one."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


@contextmanager
def speaking_of(names: Mapping[str, str]) -> Iterator[None]:
    """Turns InvalidScheduleError into InexpressibleError, with the framework's names for the fields."""
    try:
        yield
    except InexpressibleError:
        raise
    except InvalidScheduleError as refused:
        raise InexpressibleError([_renamed(fault, names) for fault in refused.faults]) from refused
    except ArithmeticError as error:
        message = f"has rates beyond the floats ({error})"
        raise InexpressibleError(Fault("scheduler", message, "finite rates", None, BY_RATES)) from error


def _renamed(fault: Fault, names: Mapping[str, str]) -> Fault:
    def framework_words(text: str) -> str:
        return re.sub(r"[a-z]+(?:_[a-z]+)*", lambda word: names.get(word[0], word[0]), text)

    field = names.get(fault.field.split("[")[0], fault.field)
    return Fault(field, framework_words(fault.message), framework_words(fault.bound), fault.value, BY_RATES)


def stepwise(base: float, factor: float, steps: Iterable[int], last: int) -> Schedule:
    """The schedule whose rate is multiplied by `factor` at each of these steps."""
    drops = sorted(step for step in steps if step <= last)
    if not drops or factor == 1:
        return Constant(start_lr=base, end_lr=base)
    if drops[0] < 1 or len(set(drops)) < len(drops):
        refuse("milestones", "drop before the second step, or twice at one", "different steps from 1 on", drops)
    if not 0 < factor < 1:
        refuse("gamma", "is out of bounds", "in (0, 1]", factor)
    count, end = len(drops), base * factor ** len(drops)
    if drops == [math.ceil(k * last / (count + 1)) for k in range(1, count + 1)]:
        return Step(start_lr=base, end_lr=end, drops=count)
    # A drop at the last step itself would lie outside the open interval: it comes half a step sooner.
    milestones = tuple((step if step < last else step - 0.5) / last for step in drops)
    return MultiStep(start_lr=base, end_lr=end, milestones=milestones)


def risen(body: Schedule, start: float, rise: float, last: int, shape: str = "linear") -> Schedule:
    """Adds a rise from `start` to the schedule's first rate at step `rise`, before a schedule over the later steps."""
    if rise == 0:
        return body
    if body.rise_fraction > 0 or isinstance(body, Composed):
        refuse("schedulers", "rise twice", "one rise", body.to_dict())
    share = (last - rise) / last
    scaled: dict[str, Any] = {}
    if isinstance(body, MultiStep):
        scaled = {"milestones": tuple((rise + share * last * each) / last for each in body.milestones)}
    elif isinstance(body, Wsd):
        scaled = {"cooldown_fraction": min(share * body.cooldown_fraction, 1 - rise / last)}
    rates: dict[str, Any] = {
        "start_lr": start,
        "peak_lr": body.start_lr,
        "warmup_fraction": rise / last,
        "warmup_shape": shape,
    }
    return replace(body, **scaled, **rates)


def within(field: str, value: float, last: int) -> float:
    """The number of steps. Raises InexpressibleError unless they end before the last step of the horizon."""
    if not 0 <= value < last:
        refuse(field, "leaves nothing of the horizon", f"in [0, {last - 1}]", value, "Give a longer horizon.")
    return value

"""What readers of other frameworks' schedules share: refusals, and schedules put behind a rise."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NoReturn

from lehr.errors import Fault, InexpressibleError
from lehr.schedules.base import Schedule
from lehr.schedules.constant import Constant
from lehr.schedules.multistep import MultiStep
from lehr.schedules.step import Step
from lehr.schedules.wsd import Wsd

BY_RATES = "Or compute its rates, and fit a schedule to them with lehr.schedules.fit."


def refuse(field: str, message: str, bound: str, value: object, remedy: str = BY_RATES) -> NoReturn:
    """Raises InexpressibleError with one fault."""
    raise InexpressibleError(Fault(field, message, bound, value, remedy))


def expect(field: str, value: object, wanted: object, remedy: str = BY_RATES) -> None:
    """Raises InexpressibleError unless the value is the wanted one."""
    if value != wanted:
        refuse(field, "has no equal here", repr(wanted), value, remedy)


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


def risen(body: Schedule, start: float, rise: int, last: int, shape: str = "linear") -> Schedule:
    """A schedule over the steps after a rise, put behind it: from `start` to its own first rate at step `rise`."""
    if rise == 0:
        return body
    if body.rise_fraction > 0:
        refuse("schedulers", "rise twice", "one rise", body.to_dict())
    share = (last - rise) / last
    scaled: dict[str, Any] = {}
    if isinstance(body, MultiStep):
        scaled = {"milestones": tuple((rise + share * last * each) / last for each in body.milestones)}
    elif isinstance(body, Wsd):
        scaled = {"cooldown_fraction": share * body.cooldown_fraction}
    rates: dict[str, Any] = {
        "start_lr": start,
        "peak_lr": body.start_lr,
        "warmup_fraction": rise / last,
        "warmup_shape": shape,
    }
    return replace(body, **scaled, **rates)


def within(field: str, value: int, last: int) -> int:
    """A number of steps that end before the last one. Raises InexpressibleError."""
    if not 0 <= value < last:
        refuse(field, "leaves nothing of the horizon", f"in [0, {last - 1}]", value, "Give a longer horizon.")
    return value

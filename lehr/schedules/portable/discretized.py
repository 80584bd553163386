"""Discretizes a schedule to whole steps, as other frameworks describe schedules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from lehr.schedules.base import JUMP_SLACK, Schedule
from lehr.schedules.families.multistep import MultiStep

WRITTEN: Mapping[str, frozenset[str]] = {
    "step": frozenset({"drops"}),
    "multistep": frozenset({"milestones"}),
    "polynomial": frozenset({"power"}),
    "cosine_restarts": frozenset({"cycles", "cycle_growth", "cycle_decay"}),
    "triangular": frozenset({"cycles"}),
    "triangular2": frozenset({"cycles"}),
    "exp_range": frozenset({"cycles", "swing_decay"}),
    "flat_cosine": frozenset({"hold_fraction"}),
    "knee": frozenset({"hold_fraction"}),
    "power": frozenset({"hold_fraction", "power"}),
    "k_decay": frozenset({"k", "curve_shape", "power"}),
    "piecewise": frozenset({"knots", "rates", "interpolation"}),
    "one_cycle": frozenset({"anneal", "phases"}),
    "wsd": frozenset({"cooldown_fraction", "cooldown"}),
}
"""The families' own parameters that exporters support. All others must have their defaults.

So if a family gains a parameter, its exports fall back to the formula instead of producing wrong rates.
"""
HELD = ("wsd", "flat_cosine", "knee", "power")
"""Families that hold the top, then fall."""
COOLDOWNS = {"linear": "linear", "cosine": "cosine", "sqrt": "1-sqrt"}
"""The cooldown shapes that transformers and timm support, with their names there."""
MAX_COUNT = 2**31 - 1
"""The highest step number that jax and Keras support."""
WHOLE_SLACK = 1e-9
"""Relative tolerance within which a duration counts as a whole number of steps."""
COMMON = frozenset(field.name for field in fields(Schedule))
MOMENTA = frozenset({"base_momentum", "max_momentum"})


class CannotExpressError(Exception):
    """A framework's own schedules cannot produce the schedule's rates; the message is a clause with the reason."""


@dataclass(frozen=True, slots=True)
class Discretized:
    """A schedule over a horizon whose rise ends on a step.

    `last` is the last step, `rise` the step at which the top is reached, and `body` counts the steps
    from there to the last one.
    """

    schedule: Schedule
    last: int
    rise: int

    @property
    def start(self) -> float:
        return self.schedule.start_lr

    @property
    def top(self) -> float:
        return self.schedule.levels.top

    @property
    def end(self) -> float:
        return self.schedule.end_lr

    @property
    def body(self) -> int:
        return self.last - self.rise

    @property
    def shape(self) -> str | None:
        """The shape of the rise, None if there is none."""
        return self.schedule.warmup_shape if self.rise else None

    def parameter(self, name: str) -> float:
        """A numeric parameter of the family."""
        return float(getattr(self.schedule, name))

    def choice(self, name: str) -> str:
        """A choice parameter of the family."""
        return str(getattr(self.schedule, name))

    def drops(self) -> tuple[list[int], float]:
        """The steps at which a stepwise schedule drops, and the factor of each drop."""
        if isinstance(self.schedule, MultiStep):
            at = [self.last * milestone for milestone in self.schedule.milestones]
        else:
            count = int(self.parameter("drops"))
            at = [self.rise + k * self.body / (count + 1) for k in range(1, count + 1)]
        slack = self.last * JUMP_SLACK
        steps = [math.ceil(each - slack) for each in at]
        if len(set(steps)) < len(steps) or steps[-1] >= self.last:
            raise CannotExpressError("two of its drops fall on one step")
        return steps, (self.end / self.top) ** (1 / len(steps))

    def cycles(self) -> list[int]:
        """The length in steps of each cycle of warm restarts."""
        count, growth = int(self.parameter("cycles")), self.parameter("cycle_growth")
        parts = [growth**k for k in range(count)]
        return [whole(self.body * part / sum(parts), "a restart") for part in parts]

    def fall(self) -> tuple[str, int]:
        """The shape of the fall after a hold, and its length in steps, for the families HELD."""
        family = self.schedule.family
        if family == "wsd":
            return self.choice("cooldown"), whole(self.last * self.parameter("cooldown_fraction"), "the cooldown")
        held = whole(self.last * self.parameter("hold_fraction"), "the hold")
        straight = family == "knee" or (family == "power" and self.parameter("power") == 1)
        return "cosine" if family == "flat_cosine" else "linear" if straight else "polynomial", self.body - held

    def legs(self) -> list[int]:
        """The length in steps of each leg after the rise, for a schedule that cycles along straight lines."""
        count = 2 * int(self.parameter("cycles")) - 1
        return [whole(self.body / count, "a leg")] * count


def discretize(schedule: Schedule, horizon_steps: int, *, momentum: bool = False) -> Discretized:
    """The schedule over whole steps, after `check`. Also raises CannotExpressError if the rise ends between steps."""
    check(schedule, horizon_steps, momentum=momentum)
    last = horizon_steps - 1
    return Discretized(schedule, last, whole(last * schedule.rise_fraction, "the rise"))


def check(schedule: Schedule, horizon_steps: int, *, momentum: bool = False) -> None:
    """Raises CannotExpressError if the schedule uses parameters that are not in WRITTEN.

    `momentum`: whether the exporter supports momentum.
    """
    require(horizon_steps > 1, "a horizon of one step has no shape")
    written = COMMON | MOMENTA | WRITTEN.get(schedule.family, frozenset())
    for field in fields(schedule):
        value = getattr(schedule, field.name)
        shown = f" of {value!r}" if isinstance(value, int | float | str) else ""
        require(field.name in written or value == field.default, f"it knows no {field.name}{shown}")
    require(momentum or schedule.momentum_levels is None, "it does not cycle momentum")


def whole(steps: float, what: str) -> int:
    """A duration in steps as a whole number. Raises CannotExpressError if it is not one."""
    nearest = round(steps)
    if abs(steps - nearest) > WHOLE_SLACK * max(1.0, steps):
        raise CannotExpressError(f"{what} takes {steps:.6g} steps, and it counts whole ones")
    return nearest


def require(condition: bool, reason: str) -> None:
    """Raises CannotExpressError with the reason unless the condition holds."""
    if not condition:
        raise CannotExpressError(reason)

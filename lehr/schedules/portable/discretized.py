"""A schedule discrete over whole steps, which is how other frameworks describe one."""

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
"""The families' own parameters that writers look at. Any other one must have its default.

So a parameter that a family gains makes its exports fall back to the formula, never to wrong rates.
"""
HELD = ("wsd", "flat_cosine", "knee", "power")
"""The families that hold the top, then fall."""
COOLDOWNS = {"linear": "linear", "cosine": "cosine", "sqrt": "1-sqrt"}
"""The falls after a hold that transformers and timm have, by their names there."""
MAX_COUNT = 2**31 - 1
"""The highest step that jax and Keras count to."""
WHOLE_SLACK = 1e-9
"""How far from a whole number of steps, relatively, a duration may lie that was meant to be one."""
COMMON = frozenset(field.name for field in fields(Schedule))
MOMENTA = frozenset({"base_momentum", "max_momentum"})


class CannotExpressError(Exception):
    """A framework's own means do not give the schedule's rates; the message says why, as a clause."""


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
        """The rise's shape, None where there is none."""
        return self.schedule.warmup_shape if self.rise else None

    def parameter(self, name: str) -> float:
        """A number of the family's own."""
        return float(getattr(self.schedule, name))

    def choice(self, name: str) -> str:
        """A choice of the family's own."""
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
        """How many steps each cycle of warm restarts takes."""
        count, growth = int(self.parameter("cycles")), self.parameter("cycle_growth")
        parts = [growth**k for k in range(count)]
        return [whole(self.body * part / sum(parts), "a restart") for part in parts]

    def fall(self) -> tuple[str, int]:
        """The shape of the fall after a hold, and how many steps it takes, of the families HELD."""
        family = self.schedule.family
        if family == "wsd":
            return self.choice("cooldown"), whole(self.last * self.parameter("cooldown_fraction"), "the cooldown")
        held = whole(self.last * self.parameter("hold_fraction"), "the hold")
        straight = family == "knee" or (family == "power" and self.parameter("power") == 1)
        return "cosine" if family == "flat_cosine" else "linear" if straight else "polynomial", self.body - held

    def legs(self) -> list[int]:
        """How many steps each leg after the rise takes, of a schedule that swings along straight lines."""
        count = 2 * int(self.parameter("cycles")) - 1
        return [whole(self.body / count, "a leg")] * count


def discretize(schedule: Schedule, horizon_steps: int, *, momentum: bool = False) -> Discretized:
    """The schedule over whole steps, after `check`. Raises CannotExpressError also where the rise ends between two."""
    check(schedule, horizon_steps, momentum=momentum)
    last = horizon_steps - 1
    return Discretized(schedule, last, whole(last * schedule.rise_fraction, "the rise"))


def check(schedule: Schedule, horizon_steps: int, *, momentum: bool = False) -> None:
    """Raises CannotExpressError where the schedule says more than WRITTEN has.

    `momentum`: whether the writer writes momentum down too.
    """
    require(horizon_steps > 1, "a horizon of one step has no shape")
    written = COMMON | MOMENTA | WRITTEN.get(schedule.family, frozenset())
    for field in fields(schedule):
        value = getattr(schedule, field.name)
        shown = f" of {value!r}" if isinstance(value, int | float | str) else ""
        require(field.name in written or value == field.default, f"it knows no {field.name}{shown}")
    require(momentum or schedule.momentum_levels is None, "it does not cycle momentum")


def whole(steps: float, what: str) -> int:
    """The whole number that a duration in steps is. Raises CannotExpressError where it is none."""
    nearest = round(steps)
    if abs(steps - nearest) > WHOLE_SLACK * max(1.0, steps):
        raise CannotExpressError(f"{what} takes {steps:.6g} steps, and it counts whole ones")
    return nearest


def require(condition: bool, reason: str) -> None:
    """Raises CannotExpressError with the reason, unless the condition holds."""
    if not condition:
        raise CannotExpressError(reason)

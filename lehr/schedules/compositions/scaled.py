"""The composition `scaled`: multiplies the rates of a schedule by a factor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lehr.errors import Fault
from lehr.schedules.compositions.composition import Changed, part_value, part_values
from lehr.schedules.parameters import parameter

if TYPE_CHECKING:
    from lehr.schedules.arrays import Array


@dataclass(frozen=True, kw_only=True)
class Scaled(Changed):
    """Another schedule with every rate multiplied by a factor; its momentum is left as it is.

    lr(p) = factor schedule(p).

    >>> from lehr.schedules import Linear
    >>> schedule = Scaled(schedule=Linear(start_lr=1.0, end_lr=0.0), factor=0.5)
    >>> [schedule.lr_at(p) for p in (0, 0.5, 1)]
    [0.5, 0.25, 0.0]

    First step: start_lr, factor times the schedule's. Last and beyond: end_lr, likewise.
    """

    family: ClassVar[str] = "scaled"
    formula: ClassVar[str] = "factor schedule(p)"
    source: ClassVar[str] = (
        "the linear scaling rule: Goyal et al. 2017, Accurate, large minibatch SGD, arXiv 1706.02677"
    )

    factor: float = parameter("float", "what every rate is multiplied by, above 0", low=0.0, open_low=True)

    def _bounds(self) -> tuple[float, float]:
        return self.schedule.min_lr * self.factor, self.schedule.max_lr * self.factor

    def _value(self, progress: float, which: str) -> float:
        value = part_value(self.schedule, progress, which)
        return value * self.factor if which == "lr" else value

    def _values(self, progress: Array, which: str) -> Array:
        values = part_values(self.schedule, progress, which)
        return values * self.factor if which == "lr" else values

    def _value_code(self, names: Sequence[str], which: str) -> list[str]:
        return [f"return {names[0]}(progress){f' * {self.factor!r}' if which == 'lr' else ''}"]

    def _contradictions(self) -> Iterator[Fault]:
        yield from super()._contradictions()
        if not math.isfinite(self.schedule.max_lr * self.factor):
            bound = f"< {float.fromhex('0x1p1023') / self.schedule.max_lr * 2!r}"
            yield Fault("factor", "makes rates infinite", bound, self.factor, "Lower it.")

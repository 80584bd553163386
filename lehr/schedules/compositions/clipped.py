"""The composition `clipped`: limits the rates of a schedule to a range."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lehr.errors import Fault
from lehr.schedules.compositions.composition import Changed, part_value, part_values
from lehr.schedules.parameters import parameter

if TYPE_CHECKING:
    from lehr.schedules.arrays import Array


@dataclass(frozen=True, kw_only=True)
class Clipped(Changed):
    """Another schedule whose rates are kept within bounds; its momentum is left as it is.

    lr(p) = min(max(schedule(p), low), high); an omitted bound has no effect.

    >>> from lehr.schedules import Linear
    >>> schedule = Clipped(schedule=Linear(start_lr=1.0, end_lr=0.0), low=0.25, high=0.75)
    >>> [schedule.lr_at(p) for p in (0, 0.5, 1)]
    [0.75, 0.5, 0.25]

    First step: start_lr, its bounded rate. Last and beyond: end_lr, bounded too.
    """

    family: ClassVar[str] = "clipped"
    formula: ClassVar[str] = "min(max(schedule(p), low), high)"
    source: ClassVar[str] = "the floor and the ceiling of many trainers, such as a minimal rate"

    low: float | None = parameter("float", "the lowest rate", default=None, low=0.0)
    high: float | None = parameter("float", "the highest rate", default=None, low=0.0, open_low=True)

    def _clip(self, rate: float) -> float:
        rate = rate if self.low is None else max(rate, self.low)
        return rate if self.high is None else min(rate, self.high)

    def _bounds(self) -> tuple[float, float]:
        return self._clip(self.schedule.min_lr), self._clip(self.schedule.max_lr)

    def _value(self, progress: float, which: str) -> float:
        value = part_value(self.schedule, progress, which)
        return self._clip(value) if which == "lr" else value

    def _values(self, progress: Array, which: str) -> Array:
        values = part_values(self.schedule, progress, which)
        if which == "lr":
            values = values if self.low is None else values.clip(min=self.low)
            values = values if self.high is None else values.clip(max=self.high)
        return values

    def _value_code(self, names: Sequence[str], which: str) -> list[str]:
        value = f"{names[0]}(progress)"
        if which == "lr":
            value = value if self.low is None else f"max({value}, {self.low!r})"
            value = value if self.high is None else f"min({value}, {self.high!r})"
        return [f"return {value}"]

    def _contradictions(self) -> Iterator[Fault]:
        yield from super()._contradictions()
        if self.low is None and self.high is None:
            yield Fault("low", "and high are both missing", "one of the two", None, "Give a bound.")
        elif self.low is not None and self.high is not None and self.low > self.high:
            yield Fault("low", "is above high", f"<= {self.high!r}", self.low, "Swap the two.")

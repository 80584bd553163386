"""The composition `stretched`: stretches a section of a schedule over the whole horizon."""

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
class Stretched(Changed):
    """A stretch of another schedule, from one progress to another, drawn out over the whole horizon.

    lr(p) = schedule(begin (1 - p) + end p). A schedule is a function of progress and keeps its shape on any horizon,
    so that a new horizon alone does not need this. It is for the rest of a schedule whose horizon changed during
    the training (`lehr.schedules.compositions.builders.change_of_horizon`), and for the beginning of a schedule.

    >>> from lehr.schedules import Linear
    >>> schedule = Stretched(schedule=Linear(start_lr=1.0, end_lr=0.0), begin=0.5)
    >>> [schedule.lr_at(p) for p in (0, 0.5, 1)]
    [0.5, 0.25, 0.0]

    First step: start_lr, the schedule's rate at `begin`. Last and beyond: end_lr, its rate at `end`.
    """

    family: ClassVar[str] = "stretched"
    formula: ClassVar[str] = "schedule(begin (1 - p) + end p)"
    source: ClassVar[str] = "resuming a run whose number of steps has changed"

    begin: float = parameter(
        "float", "the progress that it begins with", default=0.0, low=0.0, high=1.0, open_high=True
    )
    end: float = parameter("float", "the progress that it ends with", default=1.0, low=0.0, high=1.0, open_low=True)

    @property
    def rise_fraction(self) -> float:
        risen = (self.schedule.rise_fraction - self.begin) / (self.end - self.begin)
        return min(max(risen, 0.0), 1.0)

    def _bounds(self) -> tuple[float, float]:
        return self.schedule.min_lr, self.schedule.max_lr

    def _value(self, progress: float, which: str) -> float:
        return part_value(self.schedule, self.begin * (1 - progress) + self.end * progress, which)

    def _values(self, progress: Array, which: str) -> Array:
        return part_values(self.schedule, self.begin * (1 - progress) + self.end * progress, which)

    def _value_code(self, names: Sequence[str], which: str) -> list[str]:
        return [f"return {names[0]}({self.begin!r} * (1 - progress) + {self.end!r} * progress)"]

    def _contradictions(self) -> Iterator[Fault]:
        yield from super()._contradictions()
        if self.begin >= self.end:
            yield Fault("begin", "is not before end", f"< {self.end!r}", self.begin, "Swap the two.")

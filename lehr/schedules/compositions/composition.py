"""Base classes of schedules made of other schedules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

from lehr.errors import Fault, InvalidScheduleError
from lehr.schedules.base import Schedule, known
from lehr.schedules.interpolation import Levels, ShapeName
from lehr.schedules.parameters import field_fault, parameter_of

if TYPE_CHECKING:
    from lehr.schedules.arrays import Array

MAX_DEPTH = 8
"""Maximum nesting depth of schedules."""
MAX_PARTS = 20
PART_SCHEMA = {"type": "object", "properties": {"family": {"type": "string"}}, "required": ["family"]}


@dataclass(frozen=True, kw_only=True)
class Composed(Schedule, ABC):
    """A schedule made of other closed-form schedules, from which its `start_lr`, `end_lr` and `peak_lr` follow.

    Its document contains the parts' documents. `max_lr` and `min_lr` bound its rates but may not be reached.
    A search draws no compositions, but a trial of one can be enqueued.
    """

    searchable: ClassVar[bool] = False
    drawable: ClassVar[bool] = False
    part_field: ClassVar[str] = "schedule"
    """The field that contains the part or parts."""

    start_lr: float = field(init=False)
    end_lr: float = field(init=False)
    peak_lr: float | None = field(init=False)
    warmup_fraction: float = field(init=False, default=0.0)
    warmup_shape: ShapeName = field(init=False, default="linear")

    def __post_init__(self) -> None:
        declared = [each for each in fields(self) if each.init and each.name != self.part_field]
        faults = [fault for each in declared if (fault := field_fault(each, getattr(self, each.name)))]
        faults += self._part_faults()
        if not faults:
            for each in declared:
                value = getattr(self, each.name)
                object.__setattr__(self, each.name, None if value is None else parameter_of(each).normal(value))
            faults = list(self._contradictions())
        if faults:
            raise InvalidScheduleError(faults)
        object.__setattr__(self, "start_lr", self._value(0.0, "lr"))
        object.__setattr__(self, "end_lr", self._value(1.0, "lr"))
        top = self._bounds()[1]
        object.__setattr__(self, "peak_lr", top if top > self.start_lr else None)

    @property
    @abstractmethod
    def members(self) -> Sequence[Schedule]:
        """The schedules that make up this one."""

    @abstractmethod
    def _value(self, progress: float, which: str) -> float:
        """The rate (`which` is lr) or the momentum (`which` is momentum) at a progress in [0, 1]."""

    @abstractmethod
    def _values(self, progress: Array, which: str) -> Array:
        """`_value`, element by element."""

    @abstractmethod
    def _value_code(self, names: Sequence[str], which: str) -> list[str]:
        """`_value` as lines of Python. They use `progress` and, for each part, the function in `names`."""

    @abstractmethod
    def _bounds(self) -> tuple[float, float]:
        """Bounds of the rates, computed from those of the parts."""

    @property
    def max_lr(self) -> float:
        return self._bounds()[1]

    @property
    def min_lr(self) -> float:
        return self._bounds()[0]

    @property
    def rise_fraction(self) -> float:
        return self.members[0].rise_fraction

    @property
    def momentum_levels(self) -> Levels | None:
        return self.members[0].momentum_levels

    @property
    def depth(self) -> int:
        """The nesting depth, including this schedule."""
        return 1 + max(each.depth if isinstance(each, Composed) else 1 for each in self.members)

    def lr_at(self, progress: float) -> float:
        return self._value(min(max(known(progress), 0.0), 1.0), "lr")

    def momentum_at(self, progress: float) -> float | None:
        if self.momentum_levels is None:
            return None
        return self._value(min(max(known(progress), 0.0), 1.0), "momentum")

    def lr_array(self, progress: Array) -> Array:
        return self._values(progress.clip(0.0, 1.0), "lr")

    def momentum_array(self, progress: Array) -> Array | None:
        return None if self.momentum_levels is None else self._values(progress.clip(0.0, 1.0), "momentum")

    def to_dict(self) -> dict[str, Any]:
        document: dict[str, Any] = {"family": self.family}
        for each in fields(self):
            value = getattr(self, each.name)
            if each.init and value is not None:
                document[each.name] = _document(value)
        return document

    @classmethod
    def part_schema(cls) -> dict[str, Any]:
        """The JSON Schema of the field that contains the parts; reading a part validates its contents."""
        return {**PART_SCHEMA, "description": "a closed-form schedule's document"}

    def _contradictions(self) -> Iterator[Fault]:
        if self.depth > MAX_DEPTH:
            bound = f"at most {MAX_DEPTH} schedules within one another"
            yield Fault(self.part_field, "lies too deep", bound, self.depth, "Compose fewer.")

    def _part_faults(self) -> list[Fault]:
        faults = []
        for index, part in enumerate(self.members):
            name = self.part_field if self.part_field == "schedule" else f"{self.part_field}[{index}]"
            message = _part_message(part)
            if message:
                faults.append(Fault(name, message, "a closed-form schedule", part, "Give another schedule."))
        return faults


@dataclass(frozen=True, kw_only=True)
class Changed(Composed, ABC):
    """A modified version of a single schedule."""

    schedule: Schedule

    @property
    def members(self) -> Sequence[Schedule]:
        return (self.schedule,)


def part_value(part: Schedule, progress: float, which: str) -> float:
    """The rate or the momentum of a part. A momentum is requested only if the part cycles it."""
    value = part.lr_at(progress) if which == "lr" else part.momentum_at(progress)
    assert value is not None
    return value


def part_values(part: Schedule, progress: Array, which: str) -> Array:
    """`part_value`, element by element."""
    values = part.lr_array(progress) if which == "lr" else part.momentum_array(progress)
    assert values is not None
    return values


def _part_message(part: object) -> str | None:
    if not isinstance(part, Schedule):
        return "is not a schedule"
    return "is adaptive" if part.adaptive else None


def _document(value: Any) -> Any:
    if isinstance(value, Schedule):
        return value.to_dict()
    return [_document(each) for each in value] if isinstance(value, tuple) else value

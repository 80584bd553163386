"""A coordinate axis of a family in the search space: name, bounds, and validation of values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lehr.errors import Fault
from lehr.schedules.interpolation import clamp
from lehr.schedules.parameters import Parameter
from lehr.space.ranges import Range, equals

Value = float | int | str


@dataclass(frozen=True, slots=True)
class Coordinate:
    """An axis. `low` and `high` are the inclusive bounds of numbers; `choices` lists the values of a choice."""

    name: str
    kind: Literal["float", "int", "choice"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Value, ...] = ()

    @property
    def is_fixed(self) -> bool:
        """Whether there is only one value, so that there is nothing to search."""
        return len(self.choices) == 1 if self.kind == "choice" else self.low == self.high

    @property
    def bound(self) -> str:
        if self.kind == "choice":
            return "one of " + ", ".join(map(str, self.choices))
        return f"a {'whole ' if self.kind == 'int' else ''}number in [{self.low!r}, {self.high!r}]"

    def read(self, value: object) -> Value | Fault:
        """The value on this axis, or its fault."""
        refused = Fault(self.name, "is not on this axis", self.bound, value, f"Give {self.bound}.")
        if self.kind == "choice":
            # Compares types too, because 1 equals 1.0 and True, which are different choices.
            same = (choice for choice in self.choices if type(choice) is type(value) and choice == value)
            return next(same, refused)
        if isinstance(value, bool) or not isinstance(value, int if self.kind == "int" else (int, float)):
            return refused
        number = clamp(value, self.low, self.high)
        return number if equals(number, value) else refused

    def nearest(self, value: Any) -> Value:
        """The value on this axis that is nearest to the given one."""
        if self.kind == "choice":
            return value if value in self.choices else self.choices[0]
        return clamp(value, self.low, self.high)


def label(parameter: Parameter, value: Any) -> Value:
    """A parameter's choice as samplers see it: its value, or text for a list, which they do not support."""
    return ", ".join(map(repr, value)) if parameter.kind == "floats" else value


def own_coordinate(family: str, name: str, parameter: Parameter, values: Range | tuple[Any, ...]) -> Coordinate:
    """The axis of a family's own parameter over a range or choices."""
    full_name = f"{family}.{name}"
    if isinstance(values, Range):
        kind: Literal["int", "float"] = "int" if parameter.kind == "int" else "float"
        return Coordinate(full_name, kind, values.low, values.high, parameter.log)
    return Coordinate(full_name, "choice", choices=tuple(label(parameter, value) for value in values))

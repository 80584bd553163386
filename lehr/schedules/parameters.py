"""Declares the allowed values of a schedule's fields, and validates them."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import MISSING, Field, dataclass, field
from typing import Any, Literal

from lehr.errors import Fault

Kind = Literal["float", "int", "choice", "floats", "name"]
MAX_FLOATS = 100
"""Maximum number of values in a `floats` parameter."""
NAME_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+$"
"""A metric's name, such as `acc@1`, `macro avg` or `précision`. No control, line or direction characters."""
MAX_NAME_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Parameter:
    """The allowed values of a field, and the values that a search draws.

    `low` and `high` bound the valid values, each included unless `open_low` or `open_high`. For `floats` they
    bound every element; the elements increase unless `increases` is False, and there are at least `shortest`.
    `search` is what a search draws from by default: for numbers an inclusive pair (low, high), otherwise a tuple
    of choices, None if it does not draw the field. `log`: draws on a log scale.
    """

    kind: Kind
    doc: str
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    choices: tuple[str, ...] = ()
    search: tuple[Any, ...] | None = None
    log: bool = False
    increases: bool = True
    shortest: int = 1

    @property
    def bound(self) -> str:
        """The valid values in words, for error messages."""
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind == "name":
            return f"1 to {MAX_NAME_CHARACTERS} characters without control characters"
        interval = self._interval()
        if self.kind == "int":
            return f"a whole number {interval}"
        if self.kind == "floats":
            order = "increasing " if self.increases else ""
            return f"{self.shortest} to {MAX_FLOATS} {order}numbers, each {interval}"
        return f"a number {interval}"

    def _interval(self) -> str:
        if math.isinf(self.high):
            return f"{'>' if self.open_low else '>='} {self.low:g}"
        return f"in {'(' if self.open_low else '['}{self.low:g}, {self.high:g}{')' if self.open_high else ']'}"

    def fault(self, name: str, value: object) -> Fault | None:
        """The fault of a value for this field, None if it is valid."""
        if self.kind == "choice":
            return None if isinstance(value, str) and value in self.choices else self._refuse(name, value, "is unknown")
        if self.kind == "name":
            return None if _is_name(value) else self._refuse(name, value, "is not a name")
        if self.kind == "floats":
            return self._list_fault(name, value)
        return self._number_fault(name, value)

    def _number_fault(self, name: str, value: object) -> Fault | None:
        expected = int if self.kind == "int" else (int, float)
        if isinstance(value, bool) or not isinstance(value, expected):
            return self._refuse(name, value, "is not a whole number" if self.kind == "int" else "is not a number")
        if not _is_finite(value):
            return self._refuse(name, value, "is not finite")
        if not self._contains(value):
            return self._refuse(name, value, "is out of bounds")
        return None

    def _list_fault(self, name: str, value: object) -> Fault | None:
        if not isinstance(value, (list, tuple)) or not self.shortest <= len(value) <= MAX_FLOATS:
            return self._refuse(name, value, f"is not a list of {self.shortest} to {MAX_FLOATS} numbers")
        faults = (self._number_fault(f"{name}[{index}]", element) for index, element in enumerate(value))
        fault = next((fault for fault in faults if fault), None)
        if fault is None and self.increases and any(later <= earlier for earlier, later in itertools.pairwise(value)):
            return self._refuse(name, value, "does not increase")
        return fault

    def _contains(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below

    def _refuse(self, name: str, value: object, message: str) -> Fault:
        return Fault(name, message, self.bound, value, f"Give {self.bound}.")

    def normal(self, value: Any) -> Any:
        """A valid value, converted to the field's type: float, int, str or a tuple of floats."""
        if self.kind == "float":
            return float(value)
        if self.kind == "floats":
            return tuple(float(element) for element in value)
        return value

    def json_schema(self) -> dict[str, Any]:
        """The field's JSON Schema, without its default."""
        if self.kind == "choice":
            return {"type": "string", "enum": list(self.choices), "description": self.doc}
        if self.kind == "name":
            length = {"minLength": 1, "maxLength": MAX_NAME_CHARACTERS}
            return {"type": "string", "pattern": NAME_PATTERN, **length, "description": self.doc}
        number = {"type": "integer" if self.kind == "int" else "number", **self._json_bounds()}
        if self.kind == "floats":
            return {
                "type": "array",
                "items": number,
                "minItems": self.shortest,
                "maxItems": MAX_FLOATS,
                "description": self.doc,
            }
        return {**number, "description": self.doc}

    def _json_bounds(self) -> dict[str, float]:
        bounds = {}
        if math.isfinite(self.low):
            bounds["exclusiveMinimum" if self.open_low else "minimum"] = self.low
        if math.isfinite(self.high):
            bounds["exclusiveMaximum" if self.open_high else "maximum"] = self.high
        return bounds


def parameter(kind: Kind, doc: str, *, default: Any = MISSING, **bounds: Any) -> Any:
    """A dataclass field with its `Parameter` as metadata. Required without a default; optional if it is None."""
    return field(default=default, metadata={"parameter": Parameter(kind, doc, **bounds)})


def parameter_of(declared: Field[Any]) -> Parameter:
    """The `Parameter` of a dataclass field."""
    declaration: Parameter = declared.metadata["parameter"]
    return declaration


def field_fault(declared: Field[Any], value: object) -> Fault | None:
    """The fault of a value for a dataclass field, None if it is valid."""
    if value is None and declared.default is None:
        return None
    return parameter_of(declared).fault(declared.name, value)


def _is_name(value: object) -> bool:
    if not isinstance(value, str) or len(value) > MAX_NAME_CHARACTERS:
        return False
    has_surrogates = any("\ud800" <= character <= "\udfff" for character in value)  # UTF-8 cannot encode these
    return re.fullmatch(NAME_PATTERN, value) is not None and not has_surrogates


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond the range of floats
        return False

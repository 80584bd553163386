"""Ranges that values are drawn from, and positions on them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lehr.errors import Fault
from lehr.schedules.interpolation import clamp, exponential
from lehr.schedules.parameters import Parameter

RATE = Parameter("float", "a learning rate, drawn on a log scale", low=0.0, open_low=True)
WARMUP_FRACTION = Parameter("float", "a part of the horizon", low=0.0, high=1.0, open_high=True)


ROUNDING = 1e-9
"""Numbers that differ by at most this, relative to the larger, are equal within rounding."""
NOTHING = 1e-300
"""Numbers that differ by at most this are also equal: smaller numbers have too few digits to calculate with."""


def equals(one: float, other: float) -> bool:
    """Whether two numbers are equal within rounding."""
    return math.isclose(one, other, rel_tol=ROUNDING, abs_tol=NOTHING)


@dataclass(frozen=True, slots=True)
class Range:
    """Values from `low` to `high`, both included; equal ends fix the value."""

    low: float
    high: float

    def normal(self) -> Range:
        """The same range with floats as ends. If they are equal within rounding, both become `low`."""
        low, high = float(self.low), float(self.high)
        return Range(low, low if low < high and equals(low, high) else high)

    def to_dict(self) -> dict[str, float]:
        return {"low": self.low, "high": self.high}


DEFAULT_START_LR = Range(1e-4, 1.0)
DEFAULT_END_LR = Range(1e-6, 1e-1)


def range_faults(field: str, value: object, parameter: Parameter) -> list[Fault]:
    """The faults of a range whose ends `parameter` bounds."""
    if not isinstance(value, Range):
        return [Fault(field, "is not a range", "a range from low to high", value, "Give low and high.")]
    ends = ((f"{field}.low", value.low), (f"{field}.high", value.high))
    faults = [fault for name, end in ends if (fault := parameter.fault(name, end))]
    if not faults and value.low > value.high:
        faults.append(
            Fault(
                f"{field}.low", "is above the range's high end", f"<= {value.high!r}", value.low, "Swap low and high."
            )
        )
    return faults


def log_point(low: float, high: float, position: float) -> float:
    """The rate at a position in [0, 1] on the log axis from low to high; never outside these bounds."""
    return clamp(exponential(low, high, position), low, high)


def log_position(low: float, high: float, value: float) -> float:
    """The position of a rate on the log axis, from 0 at low to 1 at high; 1 if low equals high.

    A rate that equals an end within rounding has the position of that end.
    """
    if not 0 < value < high:
        return 1.0 if value > 0 else 0.0
    if value <= low:
        return 0.0
    if equals(value, high) or equals(value, low):
        return 1.0 if equals(value, high) else 0.0
    span = math.log(high) - math.log(low)
    if span == 0:  # two adjacent floats can have the same logarithm
        return (value - low) / (high - low)
    return clamp((math.log(value) - math.log(low)) / span, 0.0, 1.0)

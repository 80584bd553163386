"""Computes chart axes with round ticks and labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
HUGE, TINY = 1e300, 1e-300
"""Beyond these bounds, ticks would exceed the range of floats."""
LOG_DECADES = 12
"""Maximum number of decades on a log axis, below its highest value."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis from `low` to `high`, which differ, with ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def place(self, value: float) -> float:
        """The position of a value, from 0 at `low` to 1 at `high`, limited to this range."""
        value = min(max(value, self.low), self.high)
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def linear_axis(low: float, high: float, *, wanted: int = 5) -> Axis:
    """An axis from a round tick at or below `low` to one at or above `high`, with about `wanted` ticks."""
    low, high = min(low, HUGE / 4), min(high, HUGE)
    if high - low < TINY:
        low, high = (0.0, 1.0) if low == 0 else (min(0.0, low), max(0.0, 2 * low, 2 * TINY))
    step = _round_up((high - low) / wanted)
    first, last = math.floor(low / step * (1 + 1e-12)), math.ceil(high / step * (1 - 1e-12))
    ticks = tuple(index * step for index in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], ticks)


def step_axis(last: int, *, wanted: int = 6) -> Axis:
    """An axis of steps from 0 to exactly `last`, even if that is not a round number."""
    high = max(last, 1)
    step = max(1.0, _round_up(high / wanted))
    return Axis(0.0, float(high), tuple(index * step for index in range(math.floor(high / step) + 1)))


def log_axis(low: float, high: float) -> Axis:
    """A log axis between powers of ten around `low` and `high`, both above 0; at most the top LOG_DECADES decades."""
    low, high = max(low, TINY), min(max(high, TINY), HUGE)
    top = math.ceil(math.log10(high) - 1e-12)
    bottom = max(math.floor(math.log10(low) + 1e-12), top - LOG_DECADES)
    bottom = min(bottom, top - 1)
    every = 1 if top - bottom <= 6 else 2
    return Axis(10.0**bottom, 10.0**top, tuple(10.0**power for power in range(top, bottom - 1, -every)), log=True)


def rate_label(value: float) -> str:
    """A short label for a rate."""
    if value == 0:
        return "0"
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e4 else f"{value:.2g}".replace("e-0", "e-").replace("e+0", "e")


def step_label(value: float) -> str:
    """A short label for a number of steps, such as 250k or 1M."""
    unit, suffix = next(((unit, suffix) for unit, suffix in SUFFIXES if value >= unit), (1.0, ""))
    return f"{value / unit:.4g}{suffix}"


def _round_up(size: float) -> float:
    """The smallest number of the form 1, 2 or 5 times a power of ten that is at least `size`."""
    power = 10.0 ** math.floor(math.log10(size))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= size * (1 - 1e-9))

"""Interpolates between two levels: linearly, along half a cosine, or geometrically.

Each shape takes the two levels and the fraction x in [0, 1] of the way. It weights the levels
instead of scaling their difference, so that nothing overflows and a level a million times smaller
than the other keeps its digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from lehr.schedules.elementwise import cos, sin

ShapeName = Literal["linear", "cosine", "exponential"]
Shape = Callable[[float, float, float], float]


class Levels(NamedTuple):
    """The three values that a curve passes through: at the first step, after the rise, and at the last step."""

    first: float
    top: float
    last: float


SHAPE_NAMES: tuple[ShapeName, ...] = ("linear", "cosine", "exponential")


def linear(first: float, last: float, x: float) -> float:
    """A straight line: first (1 - x) + last x."""
    return first * (1 - x) + last * x


def cosine(first: float, last: float, x: float) -> float:
    """Half a cosine wave, flat at both ends: first cos²(πx/2) + last sin²(πx/2)."""
    return first * cos(math.pi / 2 * x) ** 2 + last * sin(math.pi / 2 * x) ** 2


def exponential(first: float, last: float, x: float) -> float:
    """Geometric interpolation: first^(1 - x) last^x, both levels above 0."""
    return first ** (1 - x) * last**x  # type: ignore[no-any-return]


SHAPES: Mapping[ShapeName, Shape] = {"linear": linear, "cosine": cosine, "exponential": exponential}

CODE: Mapping[ShapeName, str] = {
    "linear": "{first!r} * (1 - x) + {last!r} * x",
    "cosine": "{first!r} * math.cos(math.pi / 2 * x) ** 2 + {last!r} * math.sin(math.pi / 2 * x) ** 2",
    "exponential": "{first!r} ** (1 - x) * {last!r} ** x",
}
"""The same expressions as source code for exports, operation by operation, so that results are bit-identical."""


SHORT = 8
"""Exported code compares up to this many bounds one by one."""


def code(shape: ShapeName, first: float, last: float) -> str:
    """The shape's expression in x, with the levels as literals."""
    return CODE[shape].format(first=first, last=last)


def reached_code(x: str, bounds: Sequence[float]) -> str:
    """An expression for the number of the increasing bounds that are at most x; faster for a short list."""
    if len(bounds) > SHORT:
        return f"sum({x} >= bound for bound in {tuple(bounds)!r})"
    return " + ".join(f"({x} >= {bound!r})" for bound in bounds) or "0"


def clamp(value: float, one: float, other: float) -> float:
    """The value, limited to the range between the two levels, which rounding may have carried it past."""
    return min(max(value, min(one, other)), max(one, other))

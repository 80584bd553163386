"""Draws points without a model: low-discrepancy sequences and uniform random draws in the unit cube."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

from lehr.space import Coordinate
from service.search.observations import draw_seed

_BASES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
"""Halton's bases, one for each coordinate of a family; they repeat beyond the last."""


def halton(index: int, base: int) -> float:
    """The radical inverse of `index` in `base`: its digits mirrored at the point, in [0, 1).

    Source: Halton, On the efficiency of certain quasi-random sequences of points,
    Numerische Mathematik 2 (1960).

    >>> halton(1, 2), halton(2, 2), halton(3, 2)
    (0.5, 0.25, 0.75)
    """
    value, scale = 0.0, 1.0
    while index:
        index, digit = divmod(index, base)
        scale /= base
        value += digit * scale
    return value


def spread_point(coordinates: Sequence[Coordinate], index: int, seed: int, family: str) -> dict[str, float | int | str]:
    """The `index`-th point of a family's own Halton sequence, shifted by `seed`.

    The shift modulo 1 (Cranley and Patterson, SIAM J. Numer. Anal. 13, 1976) is drawn for each
    coordinate, so that families and seeds don't repeat each other while the sequence keeps its
    even spread.
    """
    point: dict[str, float | int | str] = {}
    for position, coordinate in enumerate(coordinates):
        shift = draw_seed("shift", seed, family, coordinate.name) / 2**32
        unit = (halton(index + 1, _BASES[position % len(_BASES)]) + shift) % 1.0
        point[coordinate.name] = from_unit(coordinate, unit)
    return point


def random_point(coordinates: Sequence[Coordinate], seed: int) -> dict[str, float | int | str]:
    """A uniform draw from the family's box, with a separate random generator."""
    generator = random.Random(seed)
    return {coordinate.name: from_unit(coordinate, generator.random()) for coordinate in coordinates}


def from_unit(coordinate: Coordinate, unit: float) -> float | int | str:
    """The coordinate's value at `unit` in [0, 1), in equal shares for choices and integers."""
    if coordinate.kind == "choice":
        return coordinate.choices[min(int(unit * len(coordinate.choices)), len(coordinate.choices) - 1)]
    low, high = coordinate.low, coordinate.high
    if coordinate.kind == "int":
        if coordinate.log:
            return min(int(math.exp(_between(math.log(low), math.log(high + 1), unit))), int(high))
        return min(int(low) + int(unit * (int(high) - int(low) + 1)), int(high))
    if coordinate.log:
        return min(max(math.exp(_between(math.log(low), math.log(high), unit)), low), high)
    return min(max(_between(low, high, unit), low), high)


def to_unit(coordinate: Coordinate, value: float | int | str) -> float:
    """The position of a number in its range, from 0 to 1; 0.5 if the range is a single value."""
    low, high, number = float(coordinate.low), float(coordinate.high), float(value)
    if coordinate.log:
        low, high, number = math.log(low), math.log(high), math.log(number)
    return 0.5 if high == low else min(max((number - low) / (high - low), 0.0), 1.0)


def point_key(family: str, point: Mapping[str, float | int | str]) -> tuple[str, ...]:
    """A key for a point that survives a round trip through JSON: it compares numbers by their first twelve digits."""
    texts = {name: value if isinstance(value, str) else format(float(value), ".12g") for name, value in point.items()}
    return (family, *(f"{name}={texts[name]}" for name in sorted(texts)))


def _between(low: float, high: float, unit: float) -> float:
    return low + (high - low) * unit

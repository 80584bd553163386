"""Minimizes a function with the simplex method of Nelder and Mead 1965, doi 10.1093/comjnl/7.4.308."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Point = list[float]
SPREAD = 1e-6
"""The search ends when the relative spread of the values at the corners is below this."""


def minimize(
    function: Callable[[Sequence[float]], float],
    start: Sequence[float],
    scales: Sequence[float],
    *,
    evaluations: int,
    enough: float = 0.0,
) -> tuple[Point, float]:
    """A point with a low value near `start`, and the value.

    `scales` are the initial steps along each axis. It ends after about `evaluations` evaluations, at a value of at
    most `enough`, or when the values at all corners are nearly equal. The function may be infinite, but not NaN.
    """
    corners = [list(start)]
    corners += [
        [each + (scales[axis] if k == axis else 0.0) for k, each in enumerate(start)] for axis in range(len(start))
    ]
    simplex = sorted(((function(corner), corner) for corner in corners), key=_value)
    left = evaluations - len(simplex)
    while left > 0 and simplex[0][0] > enough and simplex[-1][0] - simplex[0][0] > SPREAD * simplex[0][0]:
        center = [sum(axis) / len(start) for axis in zip(*(corner for _, corner in simplex[:-1]), strict=True)]
        worst_value, worst = simplex[-1]
        reflected = _at(function, center, worst, -1.0)
        left -= 1
        if reflected[0] < simplex[0][0]:
            simplex[-1] = min(reflected, _at(function, center, worst, -2.0), key=_value)
            left -= 1
        elif reflected[0] < simplex[-2][0]:
            simplex[-1] = reflected
        else:
            contracted = _at(function, center, worst, -0.5 if reflected[0] < worst_value else 0.5)
            left -= 1
            if contracted[0] < min(reflected[0], worst_value):
                simplex[-1] = contracted
            else:
                best = simplex[0]
                simplex = [best, *(_at(function, best[1], corner, 0.5) for _, corner in simplex[1:])]
                left -= len(start)
        simplex.sort(key=_value)
    return simplex[0][1], simplex[0][0]


def _at(
    function: Callable[[Sequence[float]], float], center: Sequence[float], corner: Sequence[float], way: float
) -> tuple[float, Point]:
    """The value at center + way (corner - center), and that point."""
    point = [middle + way * (each - middle) for middle, each in zip(center, corner, strict=True)]
    return function(point), point


def _value(corner: tuple[float, Point]) -> float:
    return corner[0]

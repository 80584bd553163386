"""Converts steps of a horizon to progress, and picks evenly spaced steps."""

from __future__ import annotations

import operator

from lehr.errors import Fault, InvalidValueError

MAX_HORIZON_STEPS = 10**12
MAX_CURVE_POINTS = 10_000_000
"""Maximum number of points in a curve; a longer horizon needs `max_points`."""


def progress_at(step: int, horizon: int) -> float:
    """The progress at a step: step / (horizon - 1), at most 1; 0 for a horizon of one step.

    Raises InvalidValueError unless both are whole numbers with 1 <= horizon <= MAX_HORIZON_STEPS and step >= 0.
    """
    horizon = require_whole("horizon", horizon, 1, MAX_HORIZON_STEPS)
    step = require_whole("step", step, 0, None)
    return min(step, horizon - 1) / (horizon - 1) if horizon > 1 else 0.0


def spaced_steps(horizon: int, max_points: int | None = None) -> tuple[int, ...]:
    """At most `max_points` evenly spaced steps of a horizon; the first is 0, the last horizon - 1."""
    horizon, points = require_whole("horizon", horizon, 1, MAX_HORIZON_STEPS), count_points(horizon, max_points)
    if points == 1:
        return (0,)
    # Integer arithmetic stays exact where products exceed 2**53, the limit of floats.
    gaps = points - 1
    return tuple((2 * index * (horizon - 1) + gaps) // (2 * gaps) for index in range(points))


def count_points(horizon: int, max_points: int | None = None) -> int:
    """The number of points in a curve of at most `max_points`. Raises InvalidValueError above MAX_CURVE_POINTS."""
    horizon = require_whole("horizon", horizon, 1, MAX_HORIZON_STEPS)
    if max_points is None:
        return require_whole("horizon", horizon, 1, MAX_CURVE_POINTS, "Ask for fewer points with max_points.")
    return min(horizon, require_whole("max_points", max_points, 1, MAX_CURVE_POINTS))


def require_whole(name: str, value: object, low: int, high: int | None, remedy: str | None = None) -> int:
    """The value as an int. Accepts whole numbers of Python, NumPy and torch.

    Raises InvalidValueError for anything else, and for values out of bounds.
    """
    whole = value if type(value) is int else _whole(value)
    if whole is not None and low <= whole and (high is None or whole <= high):
        return whole
    bound = f"a whole number >= {low}" if high is None else f"a whole number in [{low}, {high}]"
    message = "is not a whole number" if whole is None else "is out of bounds"
    raise InvalidValueError(Fault(name, message, bound, value, remedy or f"Give {bound}."))


def _whole(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]  # that is what it finds out
    except TypeError:
        return None

"""Mathematical functions for formulas, for a single number or element by element for an array.

Formulas are written once and typed for a single float. `Schedule.curve_array` calls them with arrays instead:
operators work on both anyway, and these functions find the array's library through the array API
standard. Numbers are the fast path; this module imports no array library.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

FLOAT: Any = float
BOOL: Any = bool
INT: Any = int
"""Typed as Any, because the type checker sees an array as a float."""


def cos(x: float) -> float:
    return math.cos(x) if isinstance(x, FLOAT) else _library(x).cos(x)


def tanh(x: float) -> float:
    return math.tanh(x) if isinstance(x, FLOAT) else _library(x).tanh(x)


def sin(x: float) -> float:
    return math.sin(x) if isinstance(x, FLOAT) else _library(x).sin(x)


def sqrt(x: float) -> float:
    return math.sqrt(x) if isinstance(x, FLOAT) else _library(x).sqrt(x)


def floor(x: float) -> float:
    """The largest whole number that is at most x >= 0, in the type of x."""
    return float(int(x)) if isinstance(x, FLOAT) else _library(x).floor(x)


def maximum(x: float, bound: float) -> float:
    """The greater of x and a number."""
    return max(x, bound) if isinstance(x, FLOAT) else _library(x).maximum(x, bound)


def where(condition: bool, yes: float, no: float) -> float:
    """`yes` where the condition holds, else `no`. Both are evaluated."""
    if isinstance(condition, BOOL):
        return yes if condition else no
    return _library(condition).where(condition, yes, no)


def reached(x: float, bounds: Sequence[float]) -> int:
    """Number of the increasing bounds that are at most x."""
    if isinstance(x, FLOAT):
        return sum(x >= bound for bound in bounds)
    library = _library(x)
    return library.searchsorted(library.asarray(bounds, dtype=library.float64), x, side="right")


def take(values: Sequence[float], index: int) -> float:
    """The value at an index."""
    if isinstance(index, INT):
        return values[index]
    return _library(index).asarray(values)[index]


def _library(x: object) -> Any:
    return x.__array_namespace__()  # type: ignore[attr-defined]

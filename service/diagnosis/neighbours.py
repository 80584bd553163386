"""What a study's other trials say about a rate: whether higher or lower ones did better."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lehr.wire.studies import Direction
from service.answer.finalists import loss

NEAR = 2.0
FAR = 10.0
"""Rates this many times higher or lower are asked: nearer ones do alike, and farther ones are no step to try next."""
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Tried:
    """A schedule's highest rate and its value; None: it diverged."""

    max_lr: float
    value: float | None


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Whether a trial with a higher, or a lower, rate did better. None: no such rate was tried."""

    higher_better: bool | None = None
    lower_better: bool | None = None


def neighbours(own: Tried, tried: Iterable[Tried], direction: Direction) -> Neighbours:
    """Of trials whose highest rate is between 2 and 10 times away."""
    others = list(tried)
    return Neighbours(
        _any_better(own, [other for other in others if _apart(other.max_lr / own.max_lr)], direction),
        _any_better(own, [other for other in others if _apart(own.max_lr / other.max_lr)], direction),
    )


def _apart(ratio: float) -> bool:
    return NEAR * (1 - ROUNDING) <= ratio <= FAR * (1 + ROUNDING)


def _any_better(own: Tried, others: list[Tried], direction: Direction) -> bool | None:
    if not others:
        return None
    return any(loss(other.value, direction) < loss(own.value, direction) for other in others)

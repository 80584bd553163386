"""What a study's other trials say about a rate: whether higher or lower ones did better."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lehr.wire.studies import Direction
from service.search.observations import as_loss

NEAR = 2.0
FAR = 10.0
"""Rates at least the first times away are asked: nearer ones do alike; of higher ones those at most the second: a rate
that is far too low is not right because one that is far too high did worse."""
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Tried:
    """A schedule's highest rate and its value; None: it diverged."""

    max_lr: float
    value: float | None


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Whether a trial with a higher, or a lower, rate did better. None: no such rate was tried.

    `own` and `lower`: this trial's value and the best one of a lower rate, `losses`: those of all that completed;
    all turned so that less is better.
    """

    higher_better: bool | None = None
    lower_better: bool | None = None
    own: float | None = None
    lower: float | None = None
    losses: tuple[float, ...] = ()


def neighbours(own: Tried, tried: Iterable[Tried], direction: Direction) -> Neighbours:
    """Of trials whose highest rate is 2 to 10 times higher, or at least 2 times lower."""
    others = list(tried)
    lower = [other for other in others if own.max_lr / other.max_lr >= NEAR * (1 - ROUNDING)]
    return Neighbours(
        _any_better(own, [other for other in others if _apart(other.max_lr / own.max_lr)], direction),
        _any_better(own, lower, direction),
        None if own.value is None else as_loss(own.value, direction),
        min((as_loss(other.value, direction) for other in lower if other.value is not None), default=None),
        tuple(as_loss(other.value, direction) for other in others if other.value is not None),
    )


def _apart(ratio: float) -> bool:
    return NEAR * (1 - ROUNDING) <= ratio <= FAR * (1 + ROUNDING)


def _any_better(own: Tried, others: list[Tried], direction: Direction) -> bool | None:
    if not others:
        return None
    return any(as_loss(other.value, direction) < as_loss(own.value, direction) for other in others)

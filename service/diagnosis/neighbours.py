"""Compares a trial with the study's other trials: whether higher or lower learning rates did better."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lehr.wire.studies import Direction
from service.search.observations import as_loss

NEAR = 2.0
"""Rates that differ by a smaller factor are not compared: they reach similar values."""
FAR = 10.0
"""Rates higher by a larger factor are not compared: they may be far too high, and so do worse than one far too low."""
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial's highest learning rate and its value. `value` is None if it diverged."""

    max_lr: float
    value: float | None


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Whether any trial with a higher, or a lower, rate did better. None: no such rate was tried.

    As losses (lower is better): `own`, this trial's value; `lower`, the best value at a lower rate; `losses`, the
    values of all trials that completed.
    """

    higher_better: bool | None = None
    lower_better: bool | None = None
    own: float | None = None
    lower: float | None = None
    losses: tuple[float, ...] = ()


def neighbours(own: Tried, tried: Iterable[Tried], direction: Direction) -> Neighbours:
    """Compare with the trials whose highest rate is 2 to 10 times higher, or at least 2 times lower."""
    others = list(tried)
    lower = [other for other in others if own.max_lr / other.max_lr >= NEAR * (1 - ROUNDING)]
    return Neighbours(
        _any_better(own, [other for other in others if _is_comparably_higher(other.max_lr / own.max_lr)], direction),
        _any_better(own, lower, direction),
        None if own.value is None else as_loss(own.value, direction),
        min((as_loss(other.value, direction) for other in lower if other.value is not None), default=None),
        tuple(as_loss(other.value, direction) for other in others if other.value is not None),
    )


def _is_comparably_higher(ratio: float) -> bool:
    return NEAR * (1 - ROUNDING) <= ratio <= FAR * (1 + ROUNDING)


def _any_better(own: Tried, others: list[Tried], direction: Direction) -> bool | None:
    if not others:
        return None
    return any(as_loss(other.value, direction) < as_loss(own.value, direction) for other in others)

"""The family `inverse_time`: decay as one over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lehr.schedules.families.inverse import InverseSchedule


@dataclass(frozen=True, kw_only=True)
class InverseTime(InverseSchedule):
    """Falls as one over time: 1/lr grows by equal amounts in equal times, until the rate is end_lr.

    lr(x) = top / (1 + a x) with a = top/end - 1. With a `timescale` τ it is
    lr(t) = end + (top - end) (g(t) - g(T)) / (1 - g(T)), where g(t) = 1 / (1 + t/τ) and t runs from 0, after the
    rise, to T at the last step.

    >>> schedule = InverseTime(start_lr=1.0, end_lr=0.2)
    >>> [round(schedule.lr_at(p), 6) for p in (0, 0.25, 1)]
    [1.0, 0.5, 0.2]

    First step: start_lr. Last and beyond: end_lr, which must be above 0 without a timescale.
    """

    family: ClassVar[str] = "inverse_time"
    formula: ClassVar[str] = "top / (1 + (top/end - 1) x)"
    source: ClassVar[str] = (
        "Robbins and Monro 1951, A stochastic approximation method, doi 10.1214/aoms/1177729586;"
        " Keras' InverseTimeDecay"
    )
    searchable: ClassVar[bool] = False

    inverse_power: ClassVar[float] = 1.0

"""The family `inverse_sqrt`: decay as one over the square root of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lehr.schedules.families.inverse import InverseSchedule


@dataclass(frozen=True, kw_only=True)
class InverseSqrt(InverseSchedule):
    """Falls as one over the square root of time, until the rate is end_lr.

    lr(x) = top / √(1 + a x) with a = (top/end)² - 1: the curve top √(τ / (τ + t)) with the τ that leads to
    end_lr. With a given `timescale` τ it is lr(t) = end + (top - end) (g(t) - g(T)) / (1 - g(T)), where
    g(t) = √(τ / (τ + t)) and t runs from 0, after the rise, to T at the last step.

    >>> schedule = InverseSqrt(start_lr=1.0, end_lr=0.5)
    >>> [round(schedule.lr_at(p), 6) for p in (0, 0.25, 1)]
    [1.0, 0.755929, 0.5]

    First step: start_lr. Last and beyond: end_lr, which must be above 0 without a timescale.
    """

    family: ClassVar[str] = "inverse_sqrt"
    formula: ClassVar[str] = "top / √(1 + ((top/end)² - 1) x)"
    source: ClassVar[str] = (
        "Vaswani et al. 2017, Attention is all you need, section 5.3, arXiv 1706.03762;"
        " with a timescale: Zhai et al. 2022, Scaling vision transformers, arXiv 2106.04560"
    )
    searchable: ClassVar[bool] = False

    inverse_power: ClassVar[float] = 0.5

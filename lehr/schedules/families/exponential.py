"""The family `exponential`: a decay by the same factor at each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lehr.schedules import interpolation
from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.interpolation import Levels
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class Exponential(Shaped):
    """Falls by an equal factor at each step, from the top to end_lr.

    lr(x) = top^(1 - x) end^x.

    >>> schedule = Exponential(start_lr=1.0, end_lr=0.01)
    >>> [schedule.lr_at(p) for p in (0, 0.5, 1)]
    [1.0, 0.1, 0.01]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "exponential"
    formula: ClassVar[str] = "top^(1 - x) end^x"
    source: ClassVar[str] = (
        "Li and Arora 2020, An exponential learning rate schedule, arXiv 1910.07454; torch's ExponentialLR"
    )

    end_lr: float = parameter("float", "the rate at the last step", low=0.0, open_low=True)

    def _body(self, progress: float, levels: Levels) -> float:
        return interpolation.exponential(levels.top, levels.last, self._after_rise(progress))

    def _body_code(self, levels: Levels) -> list[str]:
        return [f"value = {interpolation.code('exponential', levels.top, levels.last)}"]

"""The family `linear`: linear decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lehr.schedules import interpolation
from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.interpolation import Levels


@dataclass(frozen=True, kw_only=True)
class Linear(Shaped):
    """A straight line from the top to end_lr.

    lr(x) = top (1 - x) + end x.

    >>> schedule = Linear(start_lr=0.5, end_lr=0.0)
    >>> [schedule.lr_at(p) for p in (0, 0.25, 1)]
    [0.5, 0.375, 0.0]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "linear"
    formula: ClassVar[str] = "top (1 - x) + end x"
    source: ClassVar[str] = "Defazio et al. 2023, Optimal linear decay learning rate schedules, arXiv 2310.07831"

    def _body(self, progress: float, levels: Levels) -> float:
        return interpolation.linear(levels.top, levels.last, self._after_rise(progress))

    def _body_code(self, levels: Levels) -> list[str]:
        return [f"value = {interpolation.code('linear', levels.top, levels.last)}"]

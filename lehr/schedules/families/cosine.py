"""The family `cosine`: decay along half a cosine wave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lehr.schedules import interpolation
from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.interpolation import Levels


@dataclass(frozen=True, kw_only=True)
class Cosine(Shaped):
    """Half a cosine wave from the top to end_lr, flat at both ends.

    lr(x) = end + (top - end) (1 + cos πx) / 2, written as top cos²(πx/2) + end sin²(πx/2).

    >>> schedule = Cosine(start_lr=1.0, end_lr=0.0)
    >>> [round(schedule.lr_at(p), 6) for p in (0, 0.25, 1)]
    [1.0, 0.853553, 0.0]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "cosine"
    formula: ClassVar[str] = "end + (top - end) (1 + cos πx) / 2"
    source: ClassVar[str] = "Loshchilov and Hutter 2017, SGDR, equation 5 without restarts, arXiv 1608.03983"

    def _body(self, progress: float, levels: Levels) -> float:
        return interpolation.cosine(levels.top, levels.last, self._after_rise(progress))

    def _body_code(self, levels: Levels) -> list[str]:
        return [f"value = {interpolation.code('cosine', levels.top, levels.last)}"]

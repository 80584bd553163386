"""The family `rex`: the reflected exponential decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.interpolation import Levels
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class Rex(Shaped):
    """Falls slowly at first and ever faster towards the end, to end_lr.

    lr(x) = end + (top - end) (1 - x) / (1 - bend x). The paper's bend is 1/2; a bend of 0 gives a straight line.

    >>> schedule = Rex(start_lr=1.0, end_lr=0.0)
    >>> [round(schedule.lr_at(p), 6) for p in (0, 0.5, 1)]
    [1.0, 0.666667, 0.0]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "rex"
    formula: ClassVar[str] = "end + (top - end) (1 - x) / (1 - bend x)"
    source: ClassVar[str] = (
        "Chen et al. 2021, REX: revisiting budgeted training with an improved schedule, arXiv 2107.04197"
    )
    searchable: ClassVar[bool] = False

    bend: float = parameter(
        "float",
        "how far the fall is put off",
        default=0.5,
        low=0.0,
        high=1.0,
        open_high=True,
        search=(0.0, 0.95),
    )

    def _body(self, progress: float, levels: Levels) -> float:
        x = self._after_rise(progress)
        return levels.last + (levels.top - levels.last) * ((1 - x) / (1 - self.bend * x))

    def _body_code(self, levels: Levels) -> list[str]:
        top, end = levels.top, levels.last
        return [f"value = {end!r} + ({top!r} - {end!r}) * ((1 - x) / (1 - {self.bend!r} * x))"]

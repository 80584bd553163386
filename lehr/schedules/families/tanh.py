"""The family `tanh`: decay along part of a hyperbolic tangent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from lehr.schedules import elementwise
from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.interpolation import Levels
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class Tanh(Shaped):
    """Falls along the part of a hyperbolic tangent from `lower` to `upper`, to end_lr.

    lr(x) = end + (top - end) (tanh u - tanh s) / (tanh u - tanh l) with s = l + (u - l) x, l and u being lower and
    upper. The paper has (1 - tanh s) / 2 instead, which starts below the top and ends above end_lr, by 0.25% of
    top - end if upper is 3; this formula meets both ends.

    >>> schedule = Tanh(start_lr=1.0, end_lr=0.0, lower=-3.0, upper=3.0)
    >>> [round(schedule.lr_at(p), 6) for p in (0, 0.5, 0.75)]
    [1.0, 0.5, 0.045177]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "tanh"
    formula: ClassVar[str] = (
        "end + (top - end) (tanh upper - tanh s) / (tanh upper - tanh lower), s = lower + (upper - lower) x"
    )
    source: ClassVar[str] = (
        "Hsueh, Li and Wu 2018, Stochastic gradient descent with hyperbolic-tangent decay, arXiv 1806.01593"
    )
    searchable: ClassVar[bool] = False

    lower: float = parameter(
        "float", "where on the tangent it starts", default=-6.0, low=-20.0, high=0.0, search=(-8.0, -1.0)
    )
    upper: float = parameter(
        "float", "where it ends, above 0", default=3.0, low=0.0, high=20.0, open_low=True, search=(1.0, 5.0)
    )

    def _body(self, progress: float, levels: Levels) -> float:
        s = self.lower + (self.upper - self.lower) * self._after_rise(progress)
        last, span = math.tanh(self.upper), math.tanh(self.upper) - math.tanh(self.lower)
        return levels.last + (levels.top - levels.last) * ((last - elementwise.tanh(s)) / span)

    def _body_code(self, levels: Levels) -> list[str]:
        top, end = levels.top, levels.last
        last, span = math.tanh(self.upper), math.tanh(self.upper) - math.tanh(self.lower)
        return [
            f"s = {self.lower!r} + ({self.upper!r} - {self.lower!r}) * x",
            f"value = {end!r} + ({top!r} - {end!r}) * (({last!r} - math.tanh(s)) / {span!r})",
        ]

"""The family `polynomial`: decay with a power of the remaining horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.interpolation import Levels
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class Polynomial(Shaped):
    """Falls with a power of what is left of the horizon, from the top to end_lr.

    lr(x) = end + (top - end) (1 - x)^power. A power of 1 is a straight line.

    >>> schedule = Polynomial(start_lr=1.0, end_lr=0.0, power=2.0)
    >>> [schedule.lr_at(p) for p in (0, 0.5, 1)]
    [1.0, 0.25, 0.0]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "polynomial"
    formula: ClassVar[str] = "end + (top - end) (1 - x)^power"
    source: ClassVar[str] = "Chen et al. 2018, DeepLab (the poly policy), arXiv 1606.00915; torch's PolynomialLR"

    power: float = parameter(
        "float", "the power, above 0", default=2.0, low=0.0, high=100.0, open_low=True, search=(0.5, 4.0), log=True
    )

    def _body(self, progress: float, levels: Levels) -> float:
        top, end = levels.top, levels.last
        return end + (top - end) * (1 - self._after_rise(progress)) ** self.power  # type: ignore[no-any-return]

    def _body_code(self, levels: Levels) -> list[str]:
        top, end = levels.top, levels.last
        return [f"value = {end!r} + ({top!r} - {end!r}) * (1 - x) ** {self.power!r}"]

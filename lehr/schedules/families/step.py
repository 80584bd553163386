"""The family `step`: drops by equal factors at equal intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lehr.schedules import interpolation
from lehr.schedules.base import JUMP_SLACK
from lehr.schedules.elementwise import reached
from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.interpolation import Levels
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class Step(Shaped):
    """Drops by equal factors at equal intervals, down to end_lr.

    lr(x) = top^(1 - k/d) end^(k/d), where d is `drops` and k is the number of drops so far: drop i of d
    is at x = i / (d + 1), which already has the lower rate.

    >>> schedule = Step(start_lr=1.0, end_lr=0.01, drops=2)
    >>> [schedule.lr_at(p) for p in (0, 0.5, 1)]
    [1.0, 0.1, 0.01]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "step"
    formula: ClassVar[str] = "top^(1 - k/drops) end^(k/drops), k = how many of 1..drops have x >= k/(drops + 1)"
    source: ClassVar[str] = "the step policy of Caffe (Jia et al. 2014, arXiv 1408.5093); torch's StepLR"
    continuous: ClassVar[bool] = False

    end_lr: float = parameter("float", "the rate at the last step", low=0.0, open_low=True)
    drops: int = parameter("int", "how often the rate drops", default=3, low=1, high=100, search=(1, 6))

    def _body(self, progress: float, levels: Levels) -> float:
        done = reached(self._after_rise(progress) + JUMP_SLACK, self._bounds())
        return interpolation.exponential(levels.top, levels.last, done / self.drops)

    def _bounds(self) -> list[float]:
        """The positions of the drops, as fractions x of the part after the rise."""
        return [k / (self.drops + 1) for k in range(1, self.drops + 1)]

    def _body_code(self, levels: Levels) -> list[str]:
        return [
            f"drops = {interpolation.reached_code(f'x + {JUMP_SLACK!r}', self._bounds())}",
            f"x = drops / {self.drops}",
            f"value = {interpolation.code('exponential', levels.top, levels.last)}",
        ]

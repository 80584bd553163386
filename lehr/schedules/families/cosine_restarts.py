"""The family `cosine_restarts`: cosine annealing with warm restarts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from lehr.schedules import interpolation
from lehr.schedules.base import JUMP_SLACK
from lehr.schedules.elementwise import reached, take
from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.interpolation import Levels
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class CosineRestarts(Shaped):
    """Anneals along half a cosine wave several times over, each time from a restarted rate to end_lr.

    With `cycles` c, `cycle_growth` g and `cycle_decay` d, cycle k of 0..c-1 is g^k times as long as
    the first and starts from top d^k, but never below end. Within it, with z in [0, 1) the
    fraction of the cycle: lr(z) = end + (top d^k - end) (1 + cos πz) / 2.

    >>> schedule = CosineRestarts(start_lr=1.0, end_lr=0.0, cycles=2, cycle_decay=0.5)
    >>> [round(schedule.lr_at(p), 6) for p in (0, 0.5, 0.75)]
    [1.0, 0.5, 0.25]

    First step: start_lr. Last and beyond: end_lr, whereas torch's scheduler would restart once more.
    """

    family: ClassVar[str] = "cosine_restarts"
    formula: ClassVar[str] = "end + (top cycle_decay^k - end) (1 + cos πz) / 2, z = the fraction done of cycle k"
    source: ClassVar[str] = "Loshchilov and Hutter 2017, SGDR, equation 5, arXiv 1608.03983; decay per cycle as in timm"
    continuous: ClassVar[bool] = False

    cycles: int = parameter("int", "how many cycles there are", default=3, low=1, high=100, search=(2, 5))
    cycle_growth: float = parameter(
        "float",
        "how many times longer each cycle is than the one before",
        default=1.0,
        low=1.0,
        high=10.0,
        search=(1.0, 3.0),
    )
    cycle_decay: float = parameter(
        "float",
        "what each restart's rate is multiplied by",
        default=1.0,
        low=0.0,
        high=1.0,
        open_low=True,
        search=(0.25, 1.0),
    )

    @property
    def unused_fields(self) -> frozenset[str]:
        return super().unused_fields | ({"cycle_growth", "cycle_decay"} if self.cycles == 1 else set())

    def _body(self, progress: float, levels: Levels) -> float:
        x = self._after_rise(progress)
        begins = self._begins
        k = reached(x + JUMP_SLACK, begins[1:-1])
        z = (x - take(begins, k)) / (take(begins, k + 1) - take(begins, k))
        restarts = [max(levels.top * self.cycle_decay**cycle, levels.last) for cycle in range(self.cycles)]
        return interpolation.cosine(take(restarts, k), levels.last, z)

    @cached_property
    def _begins(self) -> list[float]:
        """The start of each cycle, as a fraction x of the part after the rise, and 1, the end of the last cycle."""
        c, g = self.cycles, self.cycle_growth
        lengths = [g**k for k in range(c)]
        return [sum(lengths[:k]) / sum(lengths) for k in range(c)] + [1.0]

    def _body_code(self, levels: Levels) -> list[str]:
        top, end = levels.top, levels.last
        return [
            f"begins = {tuple(self._begins)!r}",
            f"k = {interpolation.reached_code(f'x + {JUMP_SLACK!r}', self._begins[1:-1])}",
            "z = (x - begins[k]) / (begins[k + 1] - begins[k])",
            f"restart = max({top!r} * {self.cycle_decay!r} ** k, {end!r})",
            f"value = restart * math.cos(math.pi / 2 * z) ** 2 + {end!r} * math.sin(math.pi / 2 * z) ** 2",
        ]

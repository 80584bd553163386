"""The family `exp_range`: a cyclical rate whose swing shrinks with every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lehr.schedules import interpolation
from lehr.schedules.families.cyclic import CyclicSchedule
from lehr.schedules.interpolation import Levels
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class ExpRange(CyclicSchedule):
    """Swings along straight legs between end_lr and an envelope that falls from peak_lr by equal factors.

    The legs are those of `triangular`. With d = `swing_decay` and h in [0, 1] the height on a leg:
    lr = end + (peak - end) h d^p. The first rise shrinks too: d^p also multiplies its distance to the line from
    start to end. So peak_lr bounds the rate, and the first crest is at end + (peak - end) d^p, as in torch's
    CyclicLR with the gamma d^(1 / (horizon - 1)).

    >>> schedule = ExpRange(start_lr=0.0, peak_lr=1.0, end_lr=0.0, cycles=1, swing_decay=0.25)
    >>> [round(schedule.lr_at(p), 6) for p in (0, 0.5, 0.75)]
    [0.0, 0.5, 0.176777]

    First step: start_lr. Last and beyond: end_lr, which is also the rate of every trough.
    """

    family: ClassVar[str] = "exp_range"
    formula: ClassVar[str] = "end + (peak - end) h swing_decay^p, h = the height on a leg, from 0 to 1"
    source: ClassVar[str] = "Smith 2017, Cyclical learning rates, section 3.1, arXiv 1506.01186; torch's CyclicLR"
    searchable: ClassVar[bool] = False

    cycles: int = parameter("int", "how many times it rises and falls", default=3, low=1, high=1000, search=(1, 5))
    swing_decay: float = parameter(
        "float",
        "what the swing is multiplied by from the first step to the last",
        default=0.1,
        low=0.0,
        high=1.0,
        open_low=True,
        search=(0.01, 1.0),
        log=True,
    )

    def _rise(self, z: float, levels: Levels) -> float:
        line = interpolation.linear(levels.first, levels.last, z)
        swing = self.swing_decay ** (z * self.rise_fraction)
        return interpolation.linear(line, super()._rise(z, levels), swing)

    def _rise_code(self, levels: Levels) -> list[str]:
        return [
            f"line = {interpolation.code('linear', levels.first, levels.last)}",
            f"swing = {self.swing_decay!r} ** (x * {self.rise_fraction!r})",
            *super()._rise_code(levels),
            "value = line * (1 - swing) + value * swing",
        ]

    def _body(self, progress: float, levels: Levels) -> float:
        _, height = self._height(progress)
        return levels.last + (levels.top - levels.last) * (height * self.swing_decay**progress)  # type: ignore[no-any-return]

    def _body_code(self, levels: Levels) -> list[str]:
        top, end = levels.top, levels.last
        value = f"value = {end!r} + ({top!r} - {end!r}) * (height * {self.swing_decay!r} ** progress)"
        return [*self._height_code(), value]

"""The family `triangular2`: a cyclical rate whose swing is halved with each cycle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lehr.schedules.families.cyclic import CyclicSchedule
from lehr.schedules.interpolation import Levels
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class Triangular2(CyclicSchedule):
    """Swings along straight lines between end_lr and crests of half the height each cycle, `cycles` times.

    The first rise starts at start_lr, reaches peak_lr and takes 1 / (2 cycles) of the horizon, or
    `warmup_fraction` if that is above 0; `warmup_shape` is its shape. The 2 cycles - 1 legs that follow have the
    same length. The crest of cycle k, counted from 0, is at end + (peak - end) / 2^k. With h in [0, 1] the height
    on a leg: lr = end + (peak - end) h / 2^k.

    >>> schedule = Triangular2(start_lr=0.1, peak_lr=1.0, end_lr=0.0, cycles=2)
    >>> [round(schedule.lr_at(p), 6) for p in (0, 0.25, 0.75)]
    [0.1, 1.0, 0.5]

    First step: start_lr. Last and beyond: end_lr, which is also the rate of every trough.
    """

    family: ClassVar[str] = "triangular2"
    formula: ClassVar[str] = "end + (peak - end) h / 2^k, h = the height on a leg, from 0 to 1, of cycle k"
    source: ClassVar[str] = "Smith 2017, Cyclical learning rates, section 3.1, arXiv 1506.01186; torch's CyclicLR"
    searchable: ClassVar[bool] = False

    cycles: int = parameter("int", "how many times it rises and falls", default=3, low=1, high=1000, search=(1, 5))

    def _body(self, progress: float, levels: Levels) -> float:
        cycle, height = self._height(progress)
        return levels.last + (levels.top - levels.last) * (height * 0.5**cycle)  # type: ignore[no-any-return]

    def _body_code(self, levels: Levels) -> list[str]:
        top, end = levels.top, levels.last
        return [*self._height_code(), f"value = {end!r} + ({top!r} - {end!r}) * (height * 0.5 ** ((leg + 1) // 2))"]

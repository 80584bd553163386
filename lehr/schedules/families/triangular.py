"""The family `triangular`: a cyclical rate along straight lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lehr.schedules import interpolation
from lehr.schedules.elementwise import where
from lehr.schedules.families.cyclic import CyclicSchedule
from lehr.schedules.interpolation import Levels


@dataclass(frozen=True, kw_only=True)
class Triangular(CyclicSchedule):
    """Swings along straight lines: up to peak_lr and down to end_lr, `cycles` times.

    The first rise starts at start_lr and takes 1 / (2 cycles) of the horizon, or `warmup_fraction`
    if that is above 0; `warmup_shape` is its shape. The 2 cycles - 1 legs that follow have the same
    length and alternate: with z in [0, 1) the fraction of a leg, lr(z) = peak (1 - z) + end z on
    the way down, end (1 - z) + peak z on the way up.

    >>> schedule = Triangular(start_lr=0.1, peak_lr=1.0, end_lr=0.0, cycles=2)
    >>> [round(schedule.lr_at(p), 6) for p in (0, 0.25, 0.625)]
    [0.1, 1.0, 0.5]

    First step: start_lr. Last and beyond: end_lr, which is also the rate of every trough.
    """

    family: ClassVar[str] = "triangular"
    formula: ClassVar[str] = "peak (1 - z) + end z down, end (1 - z) + peak z up, z = the fraction done of a leg"
    source: ClassVar[str] = "Smith 2017, Cyclical learning rates, section 3.1, arXiv 1506.01186; torch's CyclicLR"

    def _body(self, progress: float, levels: Levels) -> float:
        leg, z = self._leg(progress)
        rises = leg % 2 == 1
        before, after = where(rises, levels.last, levels.top), where(rises, levels.top, levels.last)
        return interpolation.linear(before, after, z)

    def _body_code(self, levels: Levels) -> list[str]:
        top, end = levels.top, levels.last
        return [
            f"way = x * {2 * self.cycles - 1}",
            "leg = int(way)",
            f"before, after = ({end!r}, {top!r}) if leg % 2 else ({top!r}, {end!r})",
            "value = before * (1 - (way - leg)) + after * (way - leg)",
        ]

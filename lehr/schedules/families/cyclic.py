"""Base class of schedules that cycle between end_lr and peak_lr."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass

from lehr.schedules.elementwise import floor, where
from lehr.schedules.families.momentum_cycling import CycledSchedule
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class CyclicSchedule(CycledSchedule, ABC):
    """Swings along straight legs: up to peak_lr and down to end_lr, `cycles` times.

    The first rise starts at start_lr and takes 1 / (2 cycles) of the horizon, or `warmup_fraction`
    if that is above 0; `warmup_shape` is its shape. The 2 cycles - 1 legs that follow have the same
    length and alternate between down and up.
    """

    cycles: int = parameter("int", "how many times it rises and falls", default=1, low=1, high=1000, search=(1, 5))

    @property
    def rise_fraction(self) -> float:
        return self.warmup_fraction or 1 / (2 * self.cycles)

    def _leg(self, progress: float) -> tuple[float, float]:
        """The leg of a progress after the rise, counted from 0, and the completed fraction of the leg, in [0, 1)."""
        way = self._after_rise(progress) * (2 * self.cycles - 1)
        leg = floor(way)
        return leg, way - leg

    def _height(self, progress: float) -> tuple[float, float]:
        """The cycle, counted from 0, and the height in it, from 0 in a trough to 1 at the crest."""
        leg, z = self._leg(progress)
        return (leg + 1) // 2, where(leg % 2 == 1, z, 1 - z)

    def _height_code(self) -> list[str]:
        return [
            f"way = x * {2 * self.cycles - 1}",
            "leg = int(way)",
            "height = way - leg if leg % 2 else 1 - (way - leg)",
        ]

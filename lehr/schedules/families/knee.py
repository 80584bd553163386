"""The family `knee`: holds the top rate to explore, then decays linearly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lehr.schedules.families.held import HeldSchedule
from lehr.schedules.interpolation import Levels, linear


@dataclass(frozen=True, kw_only=True)
class Knee(HeldSchedule):
    """Explores at the top for a time, then falls along a straight line to end_lr.

    With w = `warmup_fraction`, h = `hold_fraction` and z = max(0, (p - w - h) / (1 - w - h)):
    lr(z) = top (1 - z) + end z. WSD with a linear cooldown is the same curve, defined by the length of its fall.

    >>> schedule = Knee(start_lr=1.0, end_lr=0.0, hold_fraction=0.5)
    >>> [schedule.lr_at(p) for p in (0, 0.5, 0.75)]
    [1.0, 1.0, 0.5]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "knee"
    formula: ClassVar[str] = "top (1 - z) + end z, z = max(0, (p - w - hold_fraction) / (1 - w - hold_fraction))"
    source: ClassVar[str] = (
        "Iyer et al. 2020, Wide-minima density hypothesis and the explore-exploit learning rate schedule,"
        " arXiv 2003.03977"
    )
    searchable: ClassVar[bool] = False

    def _body(self, progress: float, levels: Levels) -> float:
        return linear(levels.top, levels.last, self._fallen(progress))

    def _body_code(self, levels: Levels) -> list[str]:
        return [self._fallen_code(), f"value = {levels.top!r} * (1 - z) + {levels.last!r} * z"]

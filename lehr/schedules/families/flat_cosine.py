"""The family `flat_cosine`: flat, then half a cosine wave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lehr.schedules.families.held import HeldSchedule
from lehr.schedules.interpolation import Levels, cosine
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class FlatCosine(HeldSchedule):
    """Holds the top for most of the horizon, then anneals along half a cosine wave to end_lr.

    With w = `warmup_fraction`, h = `hold_fraction` and z = max(0, (p - w - h) / (1 - w - h)):
    lr(z) = end + (top - end) (1 + cos πz) / 2.

    >>> schedule = FlatCosine(start_lr=1.0, end_lr=0.0, hold_fraction=0.5)
    >>> [round(schedule.lr_at(p), 6) for p in (0, 0.5, 0.75)]
    [1.0, 1.0, 0.5]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "flat_cosine"
    formula: ClassVar[str] = (
        "end + (top - end) (1 + cos πz) / 2, z = max(0, (p - w - hold_fraction) / (1 - w - hold_fraction))"
    )
    source: ClassVar[str] = "fastai's fit_flat_cos, whose pct_start is hold_fraction"
    searchable: ClassVar[bool] = False

    hold_fraction: float = parameter(
        "float",
        "the part of the horizon that holds the top",
        default=0.75,
        low=0.0,
        high=1.0,
        open_high=True,
        search=(0.25, 0.75),
    )

    def _body(self, progress: float, levels: Levels) -> float:
        return cosine(levels.top, levels.last, self._fallen(progress))

    def _body_code(self, levels: Levels) -> list[str]:
        waves = f"{levels.top!r} * math.cos(math.pi / 2 * z) ** 2 + {levels.last!r} * math.sin(math.pi / 2 * z) ** 2"
        return [self._fallen_code(), f"value = {waves}"]

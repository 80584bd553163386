"""The family `multistep`: drops by equal factors at chosen times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from lehr.errors import Fault
from lehr.schedules import interpolation
from lehr.schedules.base import JUMP_SLACK
from lehr.schedules.elementwise import reached
from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.interpolation import Levels
from lehr.schedules.parameters import parameter

PRESETS = ((0.5, 0.75), (0.3, 0.6, 0.8), (0.6, 0.8), (0.33, 0.67), (0.8,))
"""Milestones of published recipes: half and three quarters (ResNet on CIFAR), 30/60/80 (Wide ResNet), thirds."""


@dataclass(frozen=True, kw_only=True)
class MultiStep(Shaped):
    """Drops by equal factors at chosen fractions of the horizon, down to end_lr.

    lr(p) = top^(1 - k/n) end^(k/n), where k of the n `milestones` are at or before p.

    >>> schedule = MultiStep(start_lr=1.0, end_lr=0.01, milestones=(0.5, 0.75))
    >>> [schedule.lr_at(p) for p in (0, 0.5, 1)]
    [1.0, 0.1, 0.01]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "multistep"
    formula: ClassVar[str] = "top^(1 - k/n) end^(k/n), k = how many of the n milestones are <= p"
    source: ClassVar[str] = (
        "Zagoruyko and Komodakis 2016, Wide residual networks, arXiv 1605.07146; torch's MultiStepLR"
    )
    continuous: ClassVar[bool] = False

    end_lr: float = parameter("float", "the rate at the last step", low=0.0, open_low=True)
    milestones: tuple[float, ...] = parameter(
        "floats",
        "the fractions of the horizon at which the rate drops, increasing",
        default=(0.5, 0.75),
        low=0.0,
        high=1.0,
        open_low=True,
        open_high=True,
        search=PRESETS,
    )

    @classmethod
    def fits_after_rise(cls, name: str, value: Any, rise_fraction: float) -> bool:
        return name != "milestones" or bool(value[0] > rise_fraction)

    def _body(self, progress: float, levels: Levels) -> float:
        done = reached(progress + JUMP_SLACK, self.milestones)
        return interpolation.exponential(levels.top, levels.last, done / len(self.milestones))

    def _body_code(self, levels: Levels) -> list[str]:
        return [
            f"drops = {interpolation.reached_code(f'progress + {JUMP_SLACK!r}', self.milestones)}",
            f"x = drops / {len(self.milestones)}",
            f"value = {interpolation.code('exponential', levels.top, levels.last)}",
        ]

    def _contradictions(self) -> Iterator[Fault]:
        yield from super()._contradictions()
        if not self.fits_after_rise("milestones", self.milestones, self.rise_fraction):
            yield Fault(
                "milestones",
                "begin within the warm-up",
                f"> {self.rise_fraction!r}",
                self.milestones,
                "Drop after the warm-up, or shorten it.",
            )

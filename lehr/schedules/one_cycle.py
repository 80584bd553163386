"""One rise, one fall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from lehr.schedules import shapes
from lehr.schedules.cycled import CycledSchedule
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class OneCycle(CycledSchedule):
    """Rises from start_lr to peak_lr, then anneals to end_lr: one cycle, whose rise is its warm-up.

    Over the first `warmup_fraction` w of the horizon the rate climbs by `warmup_shape`; then, with
    x = (p - w) / (1 - w), lr(x) = end + (peak - end) (1 + cos πx) / 2, or a straight line where
    `anneal` is linear. Momentum, if cycled, falls to base_momentum and rises again.

    >>> schedule = OneCycle(start_lr=0.04, peak_lr=1.0, end_lr=0.0, warmup_fraction=0.5)
    >>> [round(schedule.lr_at(p), 6) for p in (0, 0.5, 0.75)]
    [0.04, 1.0, 0.5]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "one_cycle"
    formula: ClassVar[str] = "end + (peak - end) (1 + cos πx) / 2, or peak (1 - x) + end x"
    source: ClassVar[str] = "Smith and Topin 2018, Super-convergence, arXiv 1708.07120; torch's OneCycleLR"

    warmup_fraction: float = parameter(
        "float",
        "the part of the horizon that rises from start_lr to peak_lr",
        default=0.3,
        low=0.0,
        high=1.0,
        open_low=True,
        open_high=True,
        search=(0.1, 0.5),
    )
    warmup_shape: shapes.ShapeName = parameter("choice", "how it rises", default="cosine", choices=shapes.SHAPE_NAMES)
    anneal: Literal["cosine", "linear"] = parameter(
        "choice", "how it falls", default="cosine", choices=("cosine", "linear"), search=("cosine", "linear")
    )

    def _body(self, progress: float, top: float, end: float) -> float:
        return shapes.SHAPES[self.anneal](top, end, self._after_rise(progress))

    def _body_code(self, top: float, end: float) -> list[str]:
        return [f"value = {shapes.code(self.anneal, top, end)}"]

"""The family `one_cycle`: one rise and one fall."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from lehr.errors import Fault
from lehr.schedules import interpolation
from lehr.schedules.elementwise import where
from lehr.schedules.families.momentum_cycling import CycledSchedule
from lehr.schedules.interpolation import Levels
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class OneCycle(CycledSchedule):
    """Rises from start_lr to peak_lr, then anneals to end_lr: one cycle, whose rise is its warm-up.

    Over the first `warmup_fraction` w of the horizon the rate climbs by `warmup_shape`; then, with
    x = (p - w) / (1 - w), lr(x) = end + (peak - end) (1 + cos πx) / 2, or a straight line if
    `anneal` is linear. With three `phases` the fall from the peak ends at start_lr, at p = 2w, and a
    third phase of the same shape leads from there to end_lr; w is then at most 1/2, at which the third phase is
    only the last step. Momentum, if cycled, falls to base_momentum, rises again, and is constant in a third phase.

    >>> schedule = OneCycle(start_lr=0.04, peak_lr=1.0, end_lr=0.0, warmup_fraction=0.5)
    >>> [round(schedule.lr_at(p), 6) for p in (0, 0.5, 0.75)]
    [0.04, 1.0, 0.5]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "one_cycle"
    formula: ClassVar[str] = "end + (peak - end) (1 + cos πx) / 2, or peak (1 - x) + end x; in three phases over start"
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
    warmup_shape: interpolation.ShapeName = parameter(
        "choice", "how it rises", default="cosine", choices=interpolation.SHAPE_NAMES
    )
    anneal: Literal["cosine", "linear"] = parameter(
        "choice", "how it falls", default="cosine", choices=("cosine", "linear"), search=("cosine", "linear")
    )
    phases: Literal["two", "three"] = parameter(
        "choice",
        "two: it falls to end_lr; three: it falls to start_lr as long as it rose, then to end_lr",
        default="two",
        choices=("two", "three"),
    )

    @classmethod
    def fits_after_rise(cls, name: str, value: Any, rise_fraction: float) -> bool:
        return name != "phases" or value == "two" or rise_fraction <= 0.5

    def _body(self, progress: float, levels: Levels) -> float:
        anneal, w = interpolation.SHAPES[self.anneal], self.warmup_fraction
        if self.phases == "two":
            return anneal(levels.top, levels.last, self._after_rise(progress))
        back = progress < 2 * w
        z = where(back, (progress - w) / w, (progress - 2 * w) / (1 - 2 * w if w < 0.5 else 1.0))
        before, after = where(back, levels.top, levels.first), where(back, levels.first, levels.last)
        return anneal(before, after, z)

    def _body_code(self, levels: Levels) -> list[str]:
        w, shape = self.warmup_fraction, self.anneal
        if self.phases == "two":
            return [f"value = {interpolation.code(shape, levels.top, levels.last)}"]
        return [
            f"if progress < 2 * {w!r}:",
            f"    x = (progress - {w!r}) / {w!r}",
            f"    value = {interpolation.code(shape, levels.top, levels.first)}",
            "else:",
            f"    x = (progress - 2 * {w!r}) / {1 - 2 * w if w < 0.5 else 1.0!r}",
            f"    value = {interpolation.code(shape, levels.first, levels.last)}",
        ]

    def _contradictions(self) -> Iterator[Fault]:
        yield from super()._contradictions()
        if not self.fits_after_rise("phases", self.phases, self.warmup_fraction):
            yield Fault(
                "phases",
                "are three, and a fall as long as the rise leaves no room for the third",
                "two where warmup_fraction is above 0.5",
                self.phases,
                "Shorten the rise to half of the horizon or less, or choose two phases.",
            )

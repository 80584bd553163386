"""The family `plateau`, the adaptive schedule: its rate drops when a metric stops improving."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from lehr.errors import Fault
from lehr.schedules.base import known
from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.interpolation import Levels
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class Plateau(Shaped):
    """Multiplies the rate by a factor, down to end_lr, whenever a metric has stopped improving.

    After any warm-up the rate depends on the metric, not on progress alone, so that `lr_at`, curves and previews
    raise an error. `PlateauState(plateau)` computes the rates of a training from its metrics. lehr's workers step
    it with the `metric` of each report.

    After more than `patience` consecutive evaluations that are not better than the best one, lr becomes
    max(factor lr, end_lr), and the next `cooldown` evaluations are ignored. A metric is better if it improves on
    the best by `threshold`, relative to the best or absolute. Drops of `least_drop` or less are skipped.

    >>> from lehr.schedules.families.plateau_state import PlateauState
    >>> state = PlateauState(Plateau(start_lr=1.0, end_lr=0.05, factor=0.1, patience=1))
    >>> [state.step(loss) for loss in (0.9, 0.9, 0.9, 0.8, 0.8, 0.8)]
    [1.0, 1.0, 0.1, 0.1, 0.1, 0.05]

    First step: start_lr. Last and beyond: end_lr or, depending on the metric, a rate above it.
    """

    family: ClassVar[str] = "plateau"
    formula: ClassVar[str] = "max(factor lr, end) after more than patience evaluations that are not better"
    source: ClassVar[str] = "torch's ReduceLROnPlateau, whose rates it has"
    searchable: ClassVar[bool] = False
    continuous: ClassVar[bool] = False
    adaptive: ClassVar[bool] = True

    factor: float = parameter(
        "float",
        "what a drop multiplies the rate by",
        default=0.1,
        low=0.0,
        high=1.0,
        open_low=True,
        open_high=True,
        search=(0.1, 0.8),
    )
    patience: int = parameter(
        "int", "how many evaluations in a row may fail to be better", default=10, low=0, high=10**9, search=(0, 5)
    )
    cooldown: int = parameter(
        "int", "how many evaluations count for nothing after a drop", default=0, low=0, high=10**9
    )
    threshold: float = parameter("float", "how far beyond the best a better one is", default=1e-4, low=0.0)
    threshold_mode: Literal["relative", "absolute"] = parameter(
        "choice", "what the threshold is measured by", default="relative", choices=("relative", "absolute")
    )
    metric: str = parameter("name", "which of the training's metrics it follows", default="val_loss")
    direction: Literal["minimize", "maximize"] = parameter(
        "choice", "which value of the metric is better", default="minimize", choices=("minimize", "maximize")
    )
    least_drop: float = parameter("float", "how small a drop is not worth making", default=1e-8, low=0.0)

    def is_better(self, metric: float, best: float | None) -> bool:
        """Whether a metric improves on the best one so far by the threshold; NaN never does."""
        if metric != metric:
            return False
        if best is None:
            return True
        if self.direction == "minimize":
            bound = best * (1 - self.threshold) if self.threshold_mode == "relative" else best - self.threshold
            return metric < bound
        bound = best * (1 + self.threshold) if self.threshold_mode == "relative" else best + self.threshold
        return metric > bound

    def lr_at(self, progress: float) -> float:
        """The rate during the warm-up. Raises InvalidScheduleError after it, except at the first step."""
        if known(progress) > 0 and progress >= self.rise_fraction:
            self.require_closed_form()
        return super().lr_at(progress)

    def _body(self, progress: float, levels: Levels) -> float:
        self.require_closed_form()
        return levels.top

    def _body_code(self, levels: Levels) -> list[str]:
        self.require_closed_form()
        return []

    def _contradictions(self) -> Iterator[Fault]:
        yield from super()._contradictions()
        if self.threshold >= 1 and self.threshold_mode == "relative" and self.direction == "minimize":
            yield Fault(
                "threshold",
                "leaves nothing that would be better",
                "< 1 relative to a best that is minimized",
                self.threshold,
                "Lower it, or choose the absolute threshold_mode.",
            )

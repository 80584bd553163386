"""The family `constant`: the same rate at every step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from lehr.errors import Fault
from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.interpolation import Levels


@dataclass(frozen=True, kw_only=True)
class Constant(Shaped):
    """One rate throughout: what every other family has to beat.

    lr(x) = top, which is `start_lr`, or `peak_lr` after a warm-up; `end_lr` is the same rate.

    >>> schedule = Constant(start_lr=0.1, end_lr=0.1)
    >>> [schedule.lr_at(p) for p in (0, 0.5, 1)]
    [0.1, 0.1, 0.1]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "constant"
    formula: ClassVar[str] = "top"
    source: ClassVar[str] = "the baseline: stochastic gradient descent with one step size"
    decays: ClassVar[bool] = False

    def _body(self, progress: float, levels: Levels) -> float:
        return progress * 0.0 + levels.top

    def _body_code(self, levels: Levels) -> list[str]:
        return [f"value = {levels.top!r}"]

    def _contradictions(self) -> Iterator[Fault]:
        yield from super()._contradictions()
        if self.end_lr < self.max_lr:
            yield Fault(
                "end_lr",
                "differs from the constant rate",
                f"{self.max_lr!r}",
                self.end_lr,
                "Give end_lr the value of start_lr, or of peak_lr after a warm-up.",
            )

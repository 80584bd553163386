"""The family `power`: a hold, then a polynomial decay; it includes several other families."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lehr.schedules.families.held import HeldSchedule
from lehr.schedules.interpolation import Levels
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class Power(HeldSchedule):
    """Holds the top for a time, then falls with a power of what is left, to end_lr.

    With w = `warmup_fraction`, h = `hold_fraction` and z = max(0, (p - w - h) / (1 - w - h)):
    lr(z) = end + (top - end) (1 - z)^power. Special cases are `constant` (end = top), `linear` (h = 0, power = 1),
    `polynomial` (h = 0), `knee` and `wsd` with a linear cooldown (power = 1). In the model of the second source the
    best schedule of a fixed horizon is one of its shapes: on easy tasks a power decay to 0 without a hold,
    (1 - z)^(2β - 1) for a capacity exponent β > 1; on hard ones a long hold before a short decay.

    >>> schedule = Power(start_lr=1.0, end_lr=0.0, hold_fraction=0.5, power=2.0)
    >>> [schedule.lr_at(p) for p in (0, 0.5, 0.75)]
    [1.0, 1.0, 0.25]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "power"
    formula: ClassVar[str] = (
        "end + (top - end) (1 - z)^power, z = max(0, (p - w - hold_fraction) / (1 - w - hold_fraction))"
    )
    source: ClassVar[str] = (
        "Li et al. 2025, Functional scaling laws in kernel regression, arXiv 2509.19189; Li et al. 2026, Optimal"
        " learning-rate schedules under functional scaling laws, arXiv 2602.06797"
    )
    searchable: ClassVar[bool] = False

    power: float = parameter(
        "float", "the power, above 0", default=1.0, low=0.0, high=100.0, open_low=True, search=(0.5, 4.0), log=True
    )

    def _body(self, progress: float, levels: Levels) -> float:
        top, end = levels.top, levels.last
        return end + (top - end) * (1 - self._fallen(progress)) ** self.power  # type: ignore[no-any-return]

    def _body_code(self, levels: Levels) -> list[str]:
        top, end = levels.top, levels.last
        return [self._fallen_code(), f"value = {end!r} + ({top!r} - {end!r}) * (1 - z) ** {self.power!r}"]

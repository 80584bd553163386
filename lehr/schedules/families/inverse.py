"""Base class of schedules that decay with an inverse power of time."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from lehr.errors import Fault
from lehr.schedules.elementwise import maximum
from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.interpolation import Levels
from lehr.schedules.parameters import parameter

TINY = 2.0**-1022
"""Keeps a root or quotient of two rates above 0 if their ratio underflows."""


@dataclass(frozen=True, kw_only=True)
class InverseSchedule(Shaped, ABC):
    """Falls as (1 + t/τ)^-q from the top to end_lr at the last step, where t is the time since the rise.

    The two rates and the power q determine τ: without `timescale` the curve is the pure inverse power through both.
    With a `timescale` τ, as a fraction of the horizon, the inverse power of that τ is shifted and scaled to meet both.
    """

    inverse_power: ClassVar[float]
    """The exponent q."""

    timescale: float | None = parameter(
        "float",
        "τ, the part of the horizon that the first drop takes; none: the one that leads to end_lr by itself",
        default=None,
        low=1e-6,
        high=1e3,
    )

    def _body(self, progress: float, levels: Levels) -> float:
        top, end = levels.top, levels.last
        if self.timescale is None:
            x, ratio = self._after_rise(progress), self._ratio(levels)
            return end / maximum(ratio * (1 - x) + x, TINY) ** self.inverse_power  # type: ignore[no-any-return]
        past = (1 + (progress - self.rise_fraction) / self.timescale) ** -self.inverse_power
        least = self._least()
        return end + (top - end) * ((past - least) / (1 - least))  # type: ignore[no-any-return]

    def _ratio(self, levels: Levels) -> float:
        """(end/top)^(1/q), from which a = 1/ratio - 1 follows; that of the momentum may exceed 1."""
        return float((levels.last / levels.top) ** (1 / self.inverse_power))

    def _least(self) -> float:
        """(1 + t/τ)^-q at the last step."""
        assert self.timescale is not None
        return float((1 + (1 - self.rise_fraction) / self.timescale) ** -self.inverse_power)

    def _body_code(self, levels: Levels) -> list[str]:
        top, end, q = levels.top, levels.last, self.inverse_power
        if self.timescale is None:
            return [f"value = {end!r} / max({self._ratio(levels)!r} * (1 - x) + x, {TINY!r}) ** {q!r}"]
        return [
            f"past = (1 + (progress - {self.rise_fraction!r}) / {self.timescale!r}) ** -{q!r}",
            f"value = {end!r} + ({top!r} - {end!r}) * ((past - {self._least()!r}) / (1 - {self._least()!r}))",
        ]

    def _contradictions(self) -> Iterator[Fault]:
        yield from super()._contradictions()
        if self.end_lr == 0 and self.timescale is None:
            yield Fault(
                "end_lr",
                "is 0, which no inverse power leads to",
                "> 0 without a timescale",
                self.end_lr,
                "Give a rate above 0, or a timescale.",
            )

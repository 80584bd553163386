"""The family `wsd`: warm-up, stable, decay."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from lehr.errors import Fault
from lehr.schedules.base import JUMP_SLACK
from lehr.schedules.elementwise import cos, maximum, sqrt, where
from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.interpolation import Levels, exponential
from lehr.schedules.parameters import parameter

Cooldown = Literal["linear", "cosine", "sqrt", "square", "exponential"]
CODE: dict[Cooldown, str] = {
    "linear": "1 - z",
    "cosine": "math.cos(math.pi / 2 * z) ** 2",
    "sqrt": "1 - math.sqrt(z)",
    "square": "1 - z * z",
}


@dataclass(frozen=True, kw_only=True)
class Wsd(Shaped):
    """Warm-up, stable, decay: holds the top, then cools down to end_lr over the last part of the horizon.

    With c = `cooldown_fraction` of the whole horizon and z = max(0, (p - (1 - c)) / c) the fraction
    of the cooldown: lr(z) = end + (top - end) r(z), where r is 1 - z (`linear`), (1 + cos πz) / 2
    (`cosine`), 1 - √z (`sqrt`) or 1 - z² (`square`); or lr(z) = top^(1 - z) end^z (`exponential`).

    >>> schedule = Wsd(start_lr=1.0, end_lr=0.0, cooldown_fraction=0.5)
    >>> [schedule.lr_at(p) for p in (0, 0.5, 0.75)]
    [1.0, 1.0, 0.5]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "wsd"
    formula: ClassVar[str] = (
        "end + (top - end) r(z), r = 1 - z, (1 + cos πz) / 2, 1 - √z or 1 - z², or top^(1 - z) end^z;"
        " z = max(0, (p - 1 + c) / c)"
    )
    source: ClassVar[str] = (
        "Hu et al. 2024, MiniCPM, arXiv 2404.06395; Hägele et al. 2024 (the cooldown's shapes), arXiv 2405.18392"
    )

    cooldown_fraction: float = parameter(
        "float",
        "the part of the horizon, at its end, that cools down",
        default=0.2,
        low=0.0,
        high=1.0,
        open_low=True,
        search=(0.1, 0.5),
    )
    cooldown: Cooldown = parameter(
        "choice",
        "how it cools down; sqrt is 1 - √z, square 1 - z²",
        default="linear",
        choices=(*CODE, "exponential"),
        search=("linear", "cosine", "sqrt"),
    )

    @classmethod
    def fits_after_rise(cls, name: str, value: Any, rise_fraction: float) -> bool:
        return name != "cooldown_fraction" or rise_fraction + value <= 1

    def _body(self, progress: float, levels: Levels) -> float:
        fallen = progress - (1 - self.cooldown_fraction)
        # At the start of the cooldown, sqrt would turn a rounding error of 1e-16 into 1e-8.
        z = where(fallen > JUMP_SLACK, maximum(fallen, 0.0) / self.cooldown_fraction, 0.0)
        if self.cooldown == "exponential":
            return exponential(levels.top, levels.last, z)
        return levels.last + (levels.top - levels.last) * self._remaining(z)

    def _remaining(self, z: float) -> float:
        if self.cooldown == "linear":
            return 1 - z
        if self.cooldown == "cosine":
            return cos(math.pi / 2 * z) ** 2
        return 1 - (sqrt(z) if self.cooldown == "sqrt" else z * z)

    def _body_code(self, levels: Levels) -> list[str]:
        top, end = levels.top, levels.last
        fallen = f"fallen = progress - (1 - {self.cooldown_fraction!r})"
        z = f"z = fallen / {self.cooldown_fraction!r} if fallen > {JUMP_SLACK!r} else 0.0"
        if self.cooldown == "exponential":
            return [fallen, z, f"value = {top!r} ** (1 - z) * {end!r} ** z"]
        return [fallen, z, f"value = {end!r} + ({top!r} - {end!r}) * ({CODE[self.cooldown]})"]

    def _contradictions(self) -> Iterator[Fault]:
        yield from super()._contradictions()
        if not self.fits_after_rise("cooldown_fraction", self.cooldown_fraction, self.warmup_fraction):
            yield Fault(
                "cooldown_fraction",
                "and the warm-up take more than the horizon",
                f"<= {1 - self.warmup_fraction!r}",
                self.cooldown_fraction,
                "Shorten one of the two.",
            )
        if self.cooldown == "exponential" and self.end_lr == 0:
            yield Fault(
                "end_lr",
                "is 0, which no exponential cooldown leads to",
                "> 0",
                self.end_lr,
                "Give a rate above 0, or another cooldown.",
            )

"""Warm-up, stable, decay."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from lehr.errors import Fault
from lehr.schedules.base import Schedule
from lehr.schedules.parameters import parameter

CODE = {"linear": "1 - z", "cosine": "math.cos(math.pi / 2 * z) ** 2", "sqrt": "1 - math.sqrt(z)"}


@dataclass(frozen=True, kw_only=True)
class Wsd(Schedule):
    """Warm-up, stable, decay: holds the top, then cools down to end_lr over the last part of the horizon.

    With c = `cooldown_fraction` of the whole horizon and z = max(0, (p - (1 - c)) / c) the fraction
    of the cooldown: lr(z) = end + (top - end) r(z), where r is 1 - z (`linear`), (1 + cos πz) / 2
    (`cosine`) or 1 - √z (`sqrt`).

    >>> schedule = Wsd(start_lr=1.0, end_lr=0.0, cooldown_fraction=0.5)
    >>> [schedule.lr_at(p) for p in (0, 0.5, 0.75)]
    [1.0, 1.0, 0.5]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "wsd"
    formula: ClassVar[str] = (
        "end + (top - end) r(z), r = 1 - z, (1 + cos πz) / 2 or 1 - √z, z = max(0, (p - 1 + c) / c)"
    )
    source: ClassVar[str] = "Hu et al. 2024, MiniCPM, arXiv 2404.06395; Hägele et al. 2024 (1-sqrt), arXiv 2405.18392"

    cooldown_fraction: float = parameter(
        "float",
        "the part of the horizon, at its end, that cools down",
        default=0.2,
        low=0.0,
        high=1.0,
        open_low=True,
        search=(0.1, 0.5),
    )
    cooldown: Literal["linear", "cosine", "sqrt"] = parameter(
        "choice", "how it cools down; sqrt is 1 - √z", default="linear", choices=tuple(CODE), search=tuple(CODE)
    )

    @classmethod
    def fits_after_rise(cls, name: str, value: Any, rise_fraction: float) -> bool:
        return name != "cooldown_fraction" or rise_fraction + value <= 1

    def _body(self, progress: float, top: float, end: float) -> float:
        z = max(0.0, (progress - (1 - self.cooldown_fraction)) / self.cooldown_fraction)
        return end + (top - end) * self._remaining(z)

    def _remaining(self, z: float) -> float:
        if self.cooldown == "linear":
            return 1 - z
        if self.cooldown == "cosine":
            return math.cos(math.pi / 2 * z) ** 2
        return 1 - math.sqrt(z)

    def _body_code(self, top: float, end: float) -> list[str]:
        return [
            f"z = max(0.0, (progress - (1 - {self.cooldown_fraction!r})) / {self.cooldown_fraction!r})",
            f"value = {end!r} + ({top!r} - {end!r}) * ({CODE[self.cooldown]})",
        ]

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

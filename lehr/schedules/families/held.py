"""Base class of schedules that hold the top before they fall."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lehr.errors import Fault
from lehr.schedules.elementwise import maximum
from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class HeldSchedule(Shaped, ABC):
    """Holds the top for `hold_fraction` of the horizon after any warm-up, then falls."""

    hold_fraction: float = parameter(
        "float",
        "the part of the horizon that holds the top",
        default=0.5,
        low=0.0,
        high=1.0,
        open_high=True,
        search=(0.0, 0.75),
    )

    @classmethod
    def fits_after_rise(cls, name: str, value: Any, rise_fraction: float) -> bool:
        return name != "hold_fraction" or 1 - rise_fraction - value > 0

    def _fallen(self, progress: float) -> float:
        """z, the completed fraction of the fall, in [0, 1)."""
        held = self.rise_fraction + self.hold_fraction
        return maximum((progress - held) / (1 - self.rise_fraction - self.hold_fraction), 0.0)

    def _fallen_code(self) -> str:
        held, falls = self.rise_fraction + self.hold_fraction, 1 - self.rise_fraction - self.hold_fraction
        return f"z = max((progress - {held!r}) / {falls!r}, 0.0)"

    def _contradictions(self) -> Iterator[Fault]:
        yield from super()._contradictions()
        if not self.fits_after_rise("hold_fraction", self.hold_fraction, self.rise_fraction):
            yield Fault(
                "hold_fraction",
                "and the warm-up leave nothing of the horizon",
                f"< {1 - self.rise_fraction!r}",
                self.hold_fraction,
                "Shorten one of the two.",
            )

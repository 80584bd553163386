"""Base class of schedules that rise to a peak without a warm-up and may cycle momentum against the rate."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from lehr.errors import Fault
from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.interpolation import Levels
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class CycledSchedule(Shaped, ABC):
    """Rises from start_lr to peak_lr by itself, and may cycle momentum against the rate.

    The momentum follows the rate's formula through other levels: `max_momentum` where the rate
    is lowest, `base_momentum` at its peak. Without these two fields, the schedule does not change momentum.
    """

    climbs: ClassVar[bool] = True
    cycles_momentum: ClassVar[bool] = True

    base_momentum: float | None = parameter(
        "float", "the momentum where the rate is highest", default=None, low=0.0, high=1.0, open_high=True
    )
    max_momentum: float | None = parameter(
        "float", "the momentum where the rate is lowest", default=None, low=0.0, high=1.0, open_high=True
    )

    @property
    def momentum_levels(self) -> Levels | None:
        if self.base_momentum is None or self.max_momentum is None:
            return None
        return Levels(self.max_momentum, self.base_momentum, self.max_momentum)

    def _contradictions(self) -> Iterator[Fault]:
        yield from super()._contradictions()
        base, highest = self.base_momentum, self.max_momentum
        if base is None or highest is None:
            if base is not highest:
                name = "base_momentum" if base is None else "max_momentum"
                yield Fault(
                    name,
                    "is missing though the other one is given",
                    "both or none",
                    None,
                    "Give both base_momentum and max_momentum, or neither.",
                )
            return
        if base > highest:
            yield Fault("base_momentum", "is above max_momentum", f"<= {highest!r}", base, "Swap the two.")
        if base == 0 and self.warmup_shape == "exponential":
            yield Fault(
                "base_momentum",
                "is 0, which no exponential rise leads to",
                "> 0",
                base,
                "Give a momentum above 0, or a linear or cosine warmup_shape.",
            )

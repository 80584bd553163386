"""A study's results as the rules look at them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lehr.schedules import Schedule
from lehr.wire.studies import Direction, SpaceSpec
from lehr.wire.trials import TrialState
from service.answer.statistics import mean_of
from service.search.observations import as_loss

SPAN = 10.0


@dataclass(frozen=True, slots=True)
class Result:
    """A search trial that has ended. `value` None unless COMPLETED."""

    number: int
    state: TrialState
    schedule: Schedule
    value: float | None


@dataclass(frozen=True, slots=True)
class StudyResults:
    """`results`: the search's, by number. `repeats`: values of equal schedules on different seeds, a list for each.

    `best`: the study's best trial; None where it says nothing of the space's bounds.
    """

    space: SpaceSpec
    metric: str
    direction: Direction
    results: Sequence[Result]
    repeats: Sequence[Sequence[float]] = ()
    best: Result | None = None

    @property
    def completed(self) -> list[Result]:
        """The best first."""
        done = [one for one in self.results if one.value is not None]
        return sorted(done, key=lambda one: (as_loss(one.value, self.direction), one.number))

    @property
    def values(self) -> list[float]:
        return [one.value for one in self.completed if one.value is not None]

    @property
    def spans_decades(self) -> bool:
        """Whether the highest of the completed trials' rates is at least ten times the lowest."""
        rates = [one.schedule.max_lr for one in self.completed]
        return bool(rates) and max(rates) >= SPAN * min(rates)

    @property
    def noise(self) -> Noise | None:
        """How much a seed alone changes a value, pooled over schedules; None where nothing was repeated, or the
        deviation is larger than any double.
        """
        groups = [group for group in self.repeats if len(group) >= 2]
        freedom = sum(len(group) - 1 for group in groups)
        if not freedom:
            return None
        means = [mean_of(group) for group in groups]
        distances = [value - mean for group, mean in zip(groups, means, strict=True) for value in group]
        deviation = math.hypot(*distances) / math.sqrt(freedom)
        return Noise(deviation, freedom) if math.isfinite(deviation) else None


@dataclass(frozen=True, slots=True)
class Noise:
    """A standard deviation, and the degrees of freedom it rests on."""

    deviation: float
    freedom: int

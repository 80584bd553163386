"""A study's results in the form that the diagnosis rules read."""

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
    """A search trial that has ended. `value` is None unless it is COMPLETED."""

    number: int
    state: TrialState
    schedule: Schedule
    value: float | None


@dataclass(frozen=True, slots=True)
class StudyResults:
    """The results of a study's search and confirmation.

    `results`: of the search, by trial number. `repeats`: for each confirmed schedule, its values on different seeds.
    `best`: the study's best trial; None if it shows nothing about the bounds of the space.
    """

    space: SpaceSpec
    metric: str
    direction: Direction
    results: Sequence[Result]
    repeats: Sequence[Sequence[float]] = ()
    best: Result | None = None

    @property
    def completed(self) -> list[Result]:
        """The completed trials, best first."""
        completed = [result for result in self.results if result.value is not None]
        return sorted(completed, key=lambda result: (as_loss(result.value, self.direction), result.number))

    @property
    def values(self) -> list[float]:
        return [result.value for result in self.completed if result.value is not None]

    @property
    def spans_decades(self) -> bool:
        """Whether the highest of the completed trials' rates is at least ten times the lowest."""
        rates = [result.schedule.max_lr for result in self.completed]
        return bool(rates) and max(rates) >= SPAN * min(rates)

    @property
    def noise(self) -> Noise | None:
        """The standard deviation between seeds, pooled over schedules; None if no schedule was repeated, or if the
        deviation overflows.
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
    """A standard deviation and its degrees of freedom."""

    deviation: float
    freedom: int

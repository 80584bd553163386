"""The trials that an answer is made of: their order, and which are baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lehr.schedules import Schedule
from lehr.wire.studies import Direction
from lehr.wire.trials import TrialState
from service.search.observations import as_loss


@dataclass(frozen=True, slots=True)
class SearchTrial:
    """A search trial as the answer sees it. `value` None unless COMPLETED; of several `evaluations` their mean,
    and `std` their standard deviation. `violation` of its study's constraints: above 0 they are broken.
    """

    number: int
    schedule: Schedule
    state: TrialState
    value: float | None
    evaluations: int | None = None
    std: float | None = None
    violation: float | None = None
    measured: Mapping[str, float | None] | None = None

    @property
    def broken(self) -> float:
        """By how much it breaks the constraints; 0 where it keeps to them."""
        return max(0.0, self.violation or 0.0)


def best_first(trials: Iterable[SearchTrial], direction: Direction) -> list[SearchTrial]:
    """The COMPLETED trials: those that keep to the constraints, best value first, lower number first among equals; then
    the others, those first that break them least.
    """
    completed = [trial for trial in trials if trial.state == "COMPLETED" and trial.value is not None]
    return sorted(completed, key=lambda trial: (trial.broken, as_loss(trial.value, direction), trial.number))


def is_baseline(schedule: Schedule) -> bool:
    """Whether it is constant from the first step on, so without warm-up."""
    return schedule.family == "constant" and schedule.warmup_fraction == 0

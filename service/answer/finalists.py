"""Search trials as the answer reads them: their ranking, and which are baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lehr.schedules import Schedule
from lehr.wire.studies import Direction
from lehr.wire.trials import TrialState
from service.search.observations import as_loss


@dataclass(frozen=True, slots=True)
class SearchTrial:
    """A search trial as the answer reads it.

    `value`: None unless COMPLETED. If the trial has `evaluations`, it is their mean, and `std` their standard
    deviation. `violation`: of the study's constraints; above 0 they are broken.
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
        """By how much it breaks the constraints; 0 if it keeps them."""
        return max(0.0, self.violation or 0.0)


def best_first(trials: Iterable[SearchTrial], direction: Direction) -> list[SearchTrial]:
    """The COMPLETED trials: first those that keep the constraints, by value, then the others, by violation.

    Of equals, the lower number comes first.
    """
    completed = [trial for trial in trials if trial.state == "COMPLETED" and trial.value is not None]
    return sorted(completed, key=lambda trial: (trial.broken, as_loss(trial.value, direction), trial.number))


def is_baseline(schedule: Schedule) -> bool:
    """Whether the schedule is constant from the first step, without warm-up."""
    return schedule.family == "constant" and schedule.warmup_fraction == 0

"""Base classes of pruners, the rules that stop trials that are not worth finishing.

Families anneal at different speeds: at the same step, a schedule that anneals slowly is behind one that anneals fast,
and may still end ahead. So a pruner compares within a family, where equal steps are equal phases, or only with trials
that have annealed no further. It does not judge trials during their warm-up or climb, nor use reports from there.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lehr.schedules import Schedule
from lehr.wire.studies import Direction
from lehr.wire.trials import TrialState

Reports = tuple[tuple[int, float], ...]

Losses = Mapping[int, float]
"""The loss of each evaluation by its index; less is better."""

MIN_FINISHED = 4
"""Minimum number of finished trials of a family for comparisons with it."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The curve that a trial reported. `reports`: (step, objective value), with increasing steps."""

    number: int
    schedule: Schedule
    state: TrialState
    reports: Reports


class Pruner(ABC):  # noqa: B024 - what a pruner decides differs by its kind
    """Judges the curves of running trials, or a trial after each of its evaluations, or nothing."""


class CurvePruner(Pruner):
    """Stops a running trial based on its reports. Only for trials with a single training and without constraints."""

    compares_families: ClassVar[bool] = False
    """Whether trials of other families also count as rivals."""

    def should_prune(
        self,
        trial: Curve,
        others: Iterable[Curve],
        *,
        horizon_steps: int,
        direction: Direction,
        guessed: bool = False,
    ) -> bool:
        """Whether `trial` should stop at its last report. Never during its warm-up or climb, or at the last step.

        `guessed`: no sampler chose its schedule. One that did well in other studies may start slowly here.
        """
        if not trial.reports:
            return False
        if not climb_steps(trial.schedule, horizon_steps) < trial.reports[-1][0] < horizon_steps - 1:
            return False
        family = trial.schedule.family
        rivals = [
            one
            for one in others
            if one.number != trial.number and (self.compares_families or one.schedule.family == family)
        ]
        return self.is_behind(trial, rivals, horizon_steps=horizon_steps, direction=direction, guessed=guessed)

    @abstractmethod
    def is_behind(
        self, trial: Curve, rivals: Sequence[Curve], *, horizon_steps: int, direction: Direction, guessed: bool
    ) -> bool:
        """Whether the trial is too far behind its rivals at its last report."""


class EvaluationPruner(Pruner):
    """Stops a trial that is trained several times, between its trainings. All trials then share the same seeds."""

    fewest_useful: ClassVar[int] = 2
    """With fewer evaluations per trial, it saves next to nothing."""

    @abstractmethod
    def is_hopeless(self, losses: Losses, best: Losses) -> bool:
        """Whether a trial with these evaluations so far is not worth further ones, compared with the best trial."""


def climb_steps(schedule: Schedule, horizon_steps: int) -> int:
    """The first step at which the rate has climbed to its peak; 0 for a schedule that starts there."""
    return math.ceil(schedule.rise_fraction * (horizon_steps - 1))


def enough_finished(rivals: Iterable[Curve]) -> bool:
    return sum(one.state in ("COMPLETED", "PRUNED") for one in rivals) >= MIN_FINISHED

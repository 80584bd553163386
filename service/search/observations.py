"""The input of the search, observations of trials, and its output, suggestions."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from lehr.schedules import Schedule
from lehr.wire.studies import Direction
from lehr.wire.trials import TrialState

Point = Mapping[str, float | int | str]
"""The values of a family's coordinates, which `Space.coordinates` lists, by name."""

PENDING: tuple[TrialState, ...] = ("WAITING", "RUNNING")
INFORMATIVE: tuple[TrialState, ...] = ("COMPLETED", "PRUNED", "DIVERGED")
"""The states that are informative about the schedule; FAILED and CANCELLED are not."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A trial of the search in its current state.

    `point` is None if the schedule, which a user enqueued, is outside the space; samplers then ignore the trial.
    `value`: set for COMPLETED trials. `reports`: pairs (step, objective value) with increasing steps and
    finite values, for pruners, and for samplers if the trial was PRUNED. `violation`: by how much a COMPLETED trial
    violates the study's constraints; above 0 it does.
    """

    number: int
    family: str
    point: Point | None
    state: TrialState
    value: float | None
    reports: tuple[tuple[int, float], ...] = ()
    violation: float | None = None

    @property
    def broken(self) -> float:
        """By how much it violates the constraints, in [0, 1); 0 if it does not."""
        return 0.0 if self.violation is None or self.violation <= 0 else self.violation / (1 + self.violation)

    @property
    def informative(self) -> bool:
        if self.state == "COMPLETED":
            return self.value is not None
        return self.state in INFORMATIVE


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What to train next: a schedule, and its point, which goes into later observations."""

    schedule: Schedule
    point: Point


Rank = tuple[int, float, float]


def rank(observation: Observation, direction: Direction) -> Rank:
    """A key that sorts results best first: COMPLETED by value, then PRUNED (longest first), then those that violated
    the constraints (smallest violation first), then DIVERGED.
    """
    if observation.broken:
        return (3, observation.broken, as_loss(observation.value or 0.0, direction))
    if observation.state == "COMPLETED" and observation.value is not None:
        return (0, 0.0, as_loss(observation.value, direction))
    if observation.state == "PRUNED" and observation.reports:
        step, value = observation.reports[-1]
        return (1, -float(step), as_loss(value, direction))
    return (2 if observation.state == "PRUNED" else 4, 0.0, 0.0)


def as_loss(value: float | None, direction: Direction) -> float:
    """The value as a loss, so that less is better; None becomes the worst loss."""
    if value is None:
        return math.inf
    return value if direction == "minimize" else -value


def draw_seed(*parts: int | str) -> int:
    """A seed in [0, 2^32) that depends only on `parts`, and so is the same in every process."""
    text = ":".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")

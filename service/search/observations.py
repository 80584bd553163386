"""What the search is told, and what it answers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from lehr.schedules import Schedule
from lehr.wire.studies import Direction
from lehr.wire.trials import TrialState

Point = Mapping[str, float | int | str]
"""A family's coordinates by name, as `Space.coordinates` lists them."""

PENDING: tuple[TrialState, ...] = ("WAITING", "RUNNING")
INFORMATIVE: tuple[TrialState, ...] = ("COMPLETED", "PRUNED", "DIVERGED")
"""The states that say something about the schedule; FAILED and CANCELLED do not."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A trial of the search in one of its states.

    `point` None: the schedule lies outside the space (a user's own) and informs no sampler.
    `value` is of COMPLETED trials. `reports` holds (step, objective value), steps rising,
    values finite; they inform pruners, and samplers when the trial was PRUNED. `violation`: of the study's
    constraints by a COMPLETED trial; above 0 they are broken.
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
        """By how much it breaks the constraints, in [0, 1): 0 where it does not."""
        return 0.0 if self.violation is None or self.violation <= 0 else self.violation / (1 + self.violation)

    @property
    def informative(self) -> bool:
        if self.state == "COMPLETED":
            return self.value is not None
        return self.state in INFORMATIVE


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What to train next: the schedule, and its point to be told back."""

    schedule: Schedule
    point: Point


Rank = tuple[int, float, float]


def rank(observation: Observation, direction: Direction) -> Rank:
    """Sorts results best first: COMPLETED by value, then PRUNED (longest first), then those that broke the constraints,
    the least first, then DIVERGED.
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
    """The value with its sign such that less is better; None is worst of all."""
    if value is None:
        return math.inf
    return value if direction == "minimize" else -value


def draw_seed(*parts: int | str) -> int:
    """A seed in [0, 2^32) that depends on nothing but `parts`: the same in every process."""
    text = ":".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")

"""What a study measures, what it must keep to, and of how many trainings a value is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lehr.errors import Fault, InvalidStudyError
from lehr.wire.base import MetricName, Request, Response

Direction = Literal["maximize", "minimize"]

MAX_EVALUATIONS = 100
"""Trainings of one trial of the search."""
MAX_CONSTRAINTS = 10
STEPS_TO_TARGET = "steps_to_target"
"""The metric that no task reports: the server counts the steps until the constraints first hold."""


class Constraint(Request):
    """What a metric must keep to at the end of a training, both bounds included; one of them may be left out."""

    metric: MetricName
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _check(self) -> Constraint:
        bound = "at_least, at_most, or both"
        if self.at_least is None and self.at_most is None:
            remedy = f'Say what {self.metric} must keep to: {{"metric": "{self.metric}", "at_least": 0.9}}.'
            raise InvalidStudyError(Fault("", "has no bound", bound, None, remedy))
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise InvalidStudyError(_contradiction("at_least", self.metric, self.at_least, self.at_most))
        return self


class ObjectiveSpec(Request):
    """What is measured. `folds` k: a search trial is trained on each of k parts of the data held out in turn; `seeds`:
    with so many random seeds each. Its value is then the mean over these evaluations.

    `constraints`: what other metrics, or this one, must keep to: the best is then the best of what keeps to all. With
    the metric `steps_to_target`, to be minimized, a training's value is the number of steps until they first hold.
    """

    metric: MetricName
    direction: Direction
    constraints: Annotated[list[Constraint], Field(max_length=MAX_CONSTRAINTS)] = Field(default_factory=list)
    folds: Annotated[int, Field(ge=2, le=20)] | None = None
    seeds: Annotated[int, Field(ge=1, le=20)] = 1

    @property
    def evaluations(self) -> int:
        """How many trainings a search trial is."""
        return (self.folds or 1) * self.seeds

    @property
    def counts_steps(self) -> bool:
        """Whether values are steps, which the server counts, and no metric that tasks report."""
        return self.metric == STEPS_TO_TARGET

    @property
    def reported(self) -> tuple[str, Direction]:
        """The metric that workers are asked for, and its better side."""
        if not self.counts_steps:
            return self.metric, self.direction
        first = self.constraints[0]
        return first.metric, "maximize" if first.at_least is not None else "minimize"

    @property
    def needed(self) -> tuple[str, ...]:
        """Every metric that a task must report, each once."""
        return tuple(dict.fromkeys((self.reported[0], *(one.metric for one in self.constraints))))

    @model_validator(mode="after")
    def _check(self) -> ObjectiveSpec:
        faults = [*_steps_faults(self), *_contradictions(self.constraints)]
        if self.evaluations > MAX_EVALUATIONS:
            faults.append(
                Fault(
                    "seeds",
                    "folds times seeds are too many trainings for one trial",
                    f"folds * seeds of at most {MAX_EVALUATIONS}",
                    self.evaluations,
                    "Ask for fewer seeds, or for fewer folds.",
                )
            )
        if faults:
            raise InvalidStudyError(faults)
        return self


def _steps_faults(objective: ObjectiveSpec) -> Iterator[Fault]:
    if not objective.counts_steps:
        return
    if objective.direction != "minimize":
        remedy = "Minimize the steps, or name another metric."
        yield Fault("direction", "steps to a target can only be minimized", "minimize", objective.direction, remedy)
    if not objective.constraints:
        remedy = 'Say what is to be reached: [{"metric": "val_accuracy", "at_least": 0.97}].'
        yield Fault("constraints", "there is no target to count the steps to", "at least one", [], remedy)
    for at, one in enumerate(objective.constraints):
        if one.metric == STEPS_TO_TARGET:
            remedy = "Name a metric that the task reports; budget.max_steps bounds a search."
            field = f"constraints[{at}].metric"
            yield Fault(field, "is what is counted, and no target", "another metric", one.metric, remedy)


def _contradictions(constraints: Sequence[Constraint]) -> Iterator[Fault]:
    """Bounds of one metric, in several entries, that leave nothing between them or say the same thing twice."""
    for at, one in enumerate(constraints):
        for other in constraints[:at]:
            if one.metric != other.metric:
                continue
            for side in ("at_least", "at_most"):
                if getattr(one, side) is not None and getattr(other, side) is not None:
                    field, remedy = f"constraints[{at}].{side}", "Keep the stricter one."
                    message = f"{one.metric} has such a bound already"
                    yield Fault(field, message, f"one {side} for each metric", getattr(one, side), remedy)
            low, high = _bound(one, other, "at_least"), _bound(one, other, "at_most")
            if low is not None and high is not None and low > high:
                yield _contradiction(f"constraints[{at}]", one.metric, low, high)


def _bound(one: Constraint, other: Constraint, side: str) -> Any:
    own = getattr(one, side)
    return getattr(other, side) if own is None else own


def _contradiction(field: str, metric: str, low: float, high: float) -> Fault:
    bound, remedy = f"at most at_most, which is {high:g}", f"Leave {metric} some room: lower at_least or raise at_most."
    return Fault(field, f"no {metric} is at least {low:g} and at most {high:g}", bound, low, remedy)


class Evaluations(Response):
    """A search trial's trainings on folds and seeds: how many there are, how many COMPLETED, and the standard deviation
    of their values (null for fewer than two).
    """

    count: int
    completed: int
    std: float | None


class Confirmation(Response):
    """Of a schedule's runs on seeds that neither the search nor the race has seen: nothing was chosen by them.

    `ci95` None where fewer than two seeds count. `diverged`: how many of its runs did, and are left out of the mean.
    """

    seeds: int
    diverged: int = 0
    mean: float
    std: float | None
    ci95: tuple[float, float] | None


class ConstraintStanding(Response):
    """How a schedule keeps to a constraint: the metric's `mean` over its `runs`, and how many of these break the
    constraint alone. `mean` null: a run did not report the metric, or as no finite number.
    """

    metric: str
    at_least: float | None
    at_most: float | None
    mean: float | None
    ci95: tuple[float, float] | None
    satisfied: bool
    runs: int
    broken: int

"""Models of a study's objective, constraints and evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lehr.errors import Fault, InvalidStudyError
from lehr.wire.base import MetricName, Request, Response

Direction = Literal["maximize", "minimize"]

MAX_EVALUATIONS = 100
"""The most trainings of one search trial."""
MAX_CONSTRAINTS = 10
STEPS_TO_TARGET = "steps_to_target"
"""A metric computed by the server: the number of steps until the constraints are first satisfied."""


class Constraint(Request):
    """Bounds on a metric at the end of a training. Both are inclusive; at least one is required."""

    metric: MetricName
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _check(self) -> Constraint:
        bound = "at_least, at_most, or both"
        if self.at_least is None and self.at_most is None:
            remedy = f'Set a bound, for example {{"metric": "{self.metric}", "at_least": 0.9}}.'
            raise InvalidStudyError(Fault("", "has no bound", bound, None, remedy))
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise InvalidStudyError(_contradiction("at_least", self.metric, self.at_least, self.at_most))
        return self


class ObjectiveSpec(Request):
    """What is optimized. `folds`: k-fold cross-validation: each search trial is trained k times, with each fold held
    out once. `seeds`: the number of random seeds for each fold. The trial's value is the mean over these evaluations.

    `constraints`: bounds on this metric or others; the best trial is the best one that satisfies all of them. With the
    metric `steps_to_target`, which can only be minimized, a training's value is the number of steps until they are
    first satisfied.
    """

    metric: MetricName
    direction: Direction
    constraints: Annotated[list[Constraint], Field(max_length=MAX_CONSTRAINTS)] = Field(default_factory=list)
    folds: Annotated[int, Field(ge=2, le=20)] | None = None
    seeds: Annotated[int, Field(ge=1, le=20)] = 1

    @property
    def evaluations(self) -> int:
        """The number of trainings of a search trial."""
        return (self.folds or 1) * self.seeds

    @property
    def counts_steps(self) -> bool:
        """Whether the objective is the number of steps to the target, which the server counts."""
        return self.metric == STEPS_TO_TARGET

    @property
    def reported(self) -> tuple[str, Direction]:
        """The metric that workers report for the objective, and its direction."""
        if not self.counts_steps:
            return self.metric, self.direction
        first = self.constraints[0]
        return first.metric, "maximize" if first.at_least is not None else "minimize"

    @property
    def needed(self) -> tuple[str, ...]:
        """The distinct metrics that a task must report."""
        return tuple(dict.fromkeys((self.reported[0], *(constraint.metric for constraint in self.constraints))))

    @model_validator(mode="after")
    def _check(self) -> ObjectiveSpec:
        faults = [*_steps_faults(self), *_contradictions(self.constraints)]
        if self.evaluations > MAX_EVALUATIONS:
            faults.append(
                Fault(
                    "seeds",
                    "gives too many trainings for one trial",
                    f"folds * seeds of at most {MAX_EVALUATIONS}",
                    self.evaluations,
                    "Use fewer seeds or fewer folds.",
                )
            )
        if faults:
            raise InvalidStudyError(faults)
        return self


def _steps_faults(objective: ObjectiveSpec) -> Iterator[Fault]:
    if not objective.counts_steps:
        return
    if objective.direction != "minimize":
        remedy = 'Set the direction to "minimize", or choose another metric.'
        yield Fault("direction", "steps_to_target can only be minimized", "minimize", objective.direction, remedy)
    if not objective.constraints:
        remedy = 'Add a target, for example [{"metric": "val_accuracy", "at_least": 0.97}].'
        yield Fault("constraints", "is empty, but steps_to_target needs a target", "at least one", [], remedy)
    for at, constraint in enumerate(objective.constraints):
        if constraint.metric == STEPS_TO_TARGET:
            remedy = "Use a metric that the task reports. To limit the steps of a search, use budget.max_steps."
            field = f"constraints[{at}].metric"
            yield Fault(field, "cannot be the target of steps_to_target", "another metric", constraint.metric, remedy)


def _contradictions(constraints: Sequence[Constraint]) -> Iterator[Fault]:
    """Faults for entries that bound the same metric twice on one side, or so that no value satisfies both."""
    for at, constraint in enumerate(constraints):
        for other in constraints[:at]:
            if constraint.metric != other.metric:
                continue
            for side in ("at_least", "at_most"):
                if getattr(constraint, side) is not None and getattr(other, side) is not None:
                    field, remedy = f"constraints[{at}].{side}", "Keep only the stricter bound."
                    message = f"repeats {side} for {constraint.metric}"
                    yield Fault(field, message, f"one {side} for each metric", getattr(constraint, side), remedy)
            low, high = _bound(constraint, other, "at_least"), _bound(constraint, other, "at_most")
            if low is not None and high is not None and low > high:
                yield _contradiction(f"constraints[{at}]", constraint.metric, low, high)


def _bound(constraint: Constraint, other: Constraint, side: str) -> Any:
    own = getattr(constraint, side)
    return getattr(other, side) if own is None else own


def _contradiction(field: str, metric: str, low: float, high: float) -> Fault:
    bound, remedy = f"at most at_most, which is {high:g}", "Lower at_least or raise at_most."
    return Fault(field, f"no {metric} can be at least {low:g} and at most {high:g}", bound, low, remedy)


class Evaluations(Response):
    """A search trial's trainings over folds and seeds: how many there are, how many are COMPLETED, and the standard
    deviation of their values (null for fewer than two).
    """

    count: int
    completed: int
    std: float | None


class Confirmation(Response):
    """A schedule's result on seeds that neither the search nor the race used, and so free of selection bias.

    `ci95`: null if fewer than two seeds count. `diverged`: how many runs diverged; they are left out of the mean.
    """

    seeds: int
    diverged: int = 0
    mean: float
    std: float | None
    ci95: tuple[float, float] | None


class ConstraintStanding(Response):
    """How a schedule does on a constraint: the metric's `mean` over `runs` trainings, and how many of them violate the
    constraint on their own (`broken`). `mean`: null if a run did not report a finite value of the metric.
    """

    metric: str
    at_least: float | None
    at_most: float | None
    mean: float | None
    ci95: tuple[float, float] | None
    satisfied: bool
    runs: int
    broken: int

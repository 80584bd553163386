"""What a study measures, and of how many trainings a value is made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lehr.errors import Fault, InvalidStudyError
from lehr.wire.base import MetricName, Request, Response

Direction = Literal["maximize", "minimize"]

MAX_EVALUATIONS = 100
"""Trainings of one trial of the search."""


class ObjectiveSpec(Request):
    """What is measured. `folds` k: a search trial is trained on each of k parts of the data held out in turn; `seeds`:
    with so many random seeds each. Its value is then the mean over these evaluations.
    """

    metric: MetricName
    direction: Direction
    folds: Annotated[int, Field(ge=2, le=20)] | None = None
    seeds: Annotated[int, Field(ge=1, le=20)] = 1

    @property
    def evaluations(self) -> int:
        """How many trainings a search trial is."""
        return (self.folds or 1) * self.seeds

    @model_validator(mode="after")
    def _check(self) -> ObjectiveSpec:
        if self.evaluations > MAX_EVALUATIONS:
            raise InvalidStudyError(
                Fault(
                    "seeds",
                    "folds times seeds are too many trainings for one trial",
                    f"folds * seeds of at most {MAX_EVALUATIONS}",
                    self.evaluations,
                    "Ask for fewer seeds, or for fewer folds.",
                )
            )
        return self


class Evaluations(Response):
    """A search trial's trainings on folds and seeds: how many there are, how many COMPLETED, and the standard deviation
    of their values (null for fewer than two).
    """

    count: int
    completed: int
    std: float | None

"""The worker protocol: claim, renew, report, finish, release."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, FailFast, Field, model_validator

from lehr.errors import Fault, InvalidValueError
from lehr.wire.base import (
    LARGEST_VALUE,
    Count,
    Id,
    Measurement,
    MetricName,
    Name,
    Positive,
    Request,
    Response,
    ScheduleDocument,
    TaskName,
    Text,
)
from lehr.wire.data import DataSummary
from lehr.wire.training import TrainingProgress
from lehr.wire.trials import Execution, Fold, Purpose

Directive = Literal["continue", "prune", "cancel", "done", "lost"]
FinishState = Literal["COMPLETED", "PRUNED", "DIVERGED", "FAILED", "CANCELLED"]
MAX_WAIT_SECONDS = 60
MAX_ERROR_CHARACTERS = 65_536
MAX_CHECKPOINT_CHARACTERS = 2000
MAX_METRICS = 100
"""Metrics of one report."""


class TaskOffer(Request):
    """A task with the JSON Schema of its parameters and the metrics it reports.

    `folds`: whether it can hold out a given fold of its data. Only then does it get trials that have one.
    """

    name: TaskName
    params_schema: dict[str, Any] | None = None
    metrics: list[MetricName] | None = None
    folds: bool = False


class WorkerInfo(Request):
    id: Id
    name: Name
    device: Name
    tasks: Annotated[list[TaskName | TaskOffer], Field(min_length=1, max_length=1000)]
    labels: dict[Text, Text] = Field(default_factory=dict)


class Claim(Request):
    """`study`: take trials of this one alone. `wait_seconds`: how long to wait for work before 204."""

    worker: WorkerInfo
    study: Id | None = None
    max_trials: Annotated[int, Field(ge=1, le=1024)] = 1
    wait_seconds: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS)] = 0


class LeasedStudy(Response):
    study_id: str
    task: dict[str, Any]
    objective: dict[str, Any]


class LeasedTrial(Response):
    """`horizon_steps`: train exactly so many steps, whatever the task's horizon (of a `range_test`); null: the task's
    horizon times `horizon_fraction`. `report_every_steps`: report the training loss this often, at least, and at the
    last step; null: as often as the task is evaluated.
    """

    trial: str
    number: int
    attempt: int
    purpose: Purpose
    seed: int
    schedule: ScheduleDocument
    horizon_fraction: float
    horizon_steps: int | None = None
    report_every_steps: int | None = None
    checkpoint: str | None
    fold: Fold | None = None


class Lease(Response):
    lease_id: str
    expires_at: datetime
    beat_seconds: float
    study: LeasedStudy
    trials: list[LeasedTrial]


class TrialAttempt(Request):
    """`progress`: how it goes, told now and then; a beat is the place for it."""

    trial: Id
    attempt: Positive
    progress: TrainingProgress | None = None


Named = TypeVar("Named", bound=TrialAttempt)


def _each_once(trials: list[Named]) -> list[Named]:
    """Refuse a call that names a trial twice: it could not be answered once."""
    seen: set[str] = set()
    for index, entry in enumerate(trials):
        if entry.trial in seen:
            raise InvalidValueError(
                Fault(
                    f"[{index}].trial",
                    "the trial is named twice",
                    "each trial once in a call",
                    entry.trial,
                    "Join the entries, or send them in calls of their own.",
                )
            )
        seen.add(entry.trial)
    return trials


Trials = Annotated[list[Named], Field(min_length=1, max_length=1024), FailFast(), AfterValidator(_each_once)]
"""Checked up to the first faulty entry, so that a large batch full of faults costs no more than a valid one."""


class Renewal(Request):
    """Also what `release` takes."""

    trials: Trials[TrialAttempt]


class Report(Request):
    """Metrics at a step. A value that is not finite, or beyond ±1e100, is sent as null."""

    step: Count
    epoch: Annotated[float, Field(ge=0, le=LARGEST_VALUE)] | None = None
    lr: Annotated[float, Field(ge=0)]
    train_loss: Measurement | None = None
    metrics: Annotated[dict[MetricName, Measurement | None], Field(max_length=MAX_METRICS)] = Field(
        default_factory=dict
    )


class TrialReports(TrialAttempt):
    """`checkpoint` names where this worker saved the trial; the next attempt is told it. A report of a step that was
    reported before replaces it, so that a repeated call changes nothing. `data`: what the task made of its data; the
    first that is sent for a study is kept with it.
    """

    horizon_steps: Positive
    reports: Annotated[list[Report], Field(max_length=10_000), FailFast()]
    checkpoint: Annotated[Text, Field(max_length=MAX_CHECKPOINT_CHARACTERS)] | None = None
    data: DataSummary | None = None

    @model_validator(mode="after")
    def _check_steps(self) -> TrialReports:
        last = max((report.step for report in self.reports), default=0)
        if last >= self.horizon_steps:
            bound = f"0 to {self.horizon_steps - 1}, horizon_steps less one"
            remedy = "Count the optimizer's steps from 0."
            raise InvalidValueError(Fault("reports", "a step is beyond the training's horizon", bound, last, remedy))
        return self


class ReportBatch(Request):
    trials: Trials[TrialReports]


class TrialFinish(TrialAttempt):
    """`value` is the objective's, required when COMPLETED; a run whose loss is beyond ±1e100 is DIVERGED. `execution`:
    how it was trained, for whoever asks.
    """

    state: FinishState
    value: Measurement | None = None
    error: Annotated[Text, Field(max_length=MAX_ERROR_CHARACTERS)] | None = None
    execution: Execution | None = None


class FinishBatch(Request):
    trials: Trials[TrialFinish]


class LeaseAnswer(Response):
    """What each call on a lease answers."""

    expires_at: datetime
    trials: dict[str, Directive]

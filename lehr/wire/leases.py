"""Models of the worker protocol: claim, renew, report, finish, release."""

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
"""The most metrics in one report."""


class TaskOffer(Request):
    """A task with the JSON Schema of its parameters and the metrics it reports.

    `folds`: whether it can hold out a given fold of its data. Trials with a fold are given only to such workers.
    `looks`: whether this worker describes its data on request.
    """

    name: TaskName
    params_schema: dict[str, Any] | None = None
    metrics: list[MetricName] | None = None
    folds: bool = False
    looks: bool = False


class WorkerInfo(Request):
    """A worker: its identity, its device, and the tasks that it can train."""

    id: Id
    name: Name
    device: Name
    tasks: Annotated[list[TaskName | TaskOffer], Field(min_length=1, max_length=1000)]
    labels: dict[Text, Text] = Field(default_factory=dict)


class Claim(Request):
    """A request for trials. `study`: claim trials of this study only. `wait_seconds`: how long to wait for work before
    responding with 204.
    """

    worker: WorkerInfo
    study: Id | None = None
    max_trials: Annotated[int, Field(ge=1, le=1024)] = 1
    wait_seconds: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS)] = 0


class LeasedStudy(Response):
    """What a worker needs to know of the study of its trials."""

    study_id: str
    task: dict[str, Any]
    objective: dict[str, Any]


class LeasedTrial(Response):
    """A trial to train. `horizon_steps`: train exactly this many steps instead of the task's horizon (set for a
    `range_test`); null: the task's horizon times `horizon_fraction`. `report_every_steps`: report the training loss at
    least this often, and at the last step; null: at every evaluation.
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
    """Trials of one study, held by a worker until `expires_at`. `beat_seconds`: how often to renew the lease."""

    lease_id: str
    expires_at: datetime
    beat_seconds: float
    study: LeasedStudy
    trials: list[LeasedTrial]


class TrialAttempt(Request):
    """A trial and the attempt that the worker is training. `progress`: optional, best sent with a heartbeat."""

    trial: Id
    attempt: Positive
    progress: TrainingProgress | None = None


Named = TypeVar("Named", bound=TrialAttempt)


def _each_once(trials: list[Named]) -> list[Named]:
    """Reject a call that names a trial twice, since the response holds one directive for each trial."""
    seen: set[str] = set()
    for index, entry in enumerate(trials):
        if entry.trial in seen:
            raise InvalidValueError(
                Fault(
                    f"[{index}].trial",
                    "names the same trial twice",
                    "each trial at most once in a call",
                    entry.trial,
                    "Merge the entries, or send them in separate calls.",
                )
            )
        seen.add(entry.trial)
    return trials


Trials = Annotated[list[Named], Field(min_length=1, max_length=1024), FailFast(), AfterValidator(_each_once)]
"""Validation stops at the first invalid entry, so that a large invalid batch costs no more than a valid one."""


class Renewal(Request):
    """A request to renew a lease; also the request body of `release`."""

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
    """Reports of a trial. A report replaces an earlier one of the same step, so that a repeated call changes nothing.
    `checkpoint`: where this worker saved the trial; it is passed to the next attempt. `data`: a summary of the task's
    data; the first one that is sent for a study is kept.
    """

    horizon_steps: Positive
    reports: Annotated[list[Report], Field(max_length=10_000), FailFast()]
    checkpoint: Annotated[Text, Field(max_length=MAX_CHECKPOINT_CHARACTERS)] | None = None
    data: DataSummary | None = None

    @model_validator(mode="after")
    def _check_steps(self) -> TrialReports:
        last = max((report.step for report in self.reports), default=0)
        if last >= self.horizon_steps:
            bound = f"0 to {self.horizon_steps - 1} (horizon_steps - 1)"
            remedy = "Count optimizer steps from 0."
            raise InvalidValueError(Fault("reports", "has a step beyond the training's horizon", bound, last, remedy))
        return self


class ReportBatch(Request):
    """Reports of several trials of a lease."""

    trials: Trials[TrialReports]


class TrialFinish(TrialAttempt):
    """The end of a trial. `value`: the objective's value, required if COMPLETED; a run whose loss is beyond ±1e100 is
    DIVERGED. `execution`: how it was trained, for information.
    """

    state: FinishState
    value: Measurement | None = None
    error: Annotated[Text, Field(max_length=MAX_ERROR_CHARACTERS)] | None = None
    execution: Execution | None = None


class FinishBatch(Request):
    """The ends of several trials of a lease."""

    trials: Trials[TrialFinish]


class LeaseAnswer(Response):
    """The response to every call on a lease: when it now expires, and a directive for each trial."""

    expires_at: datetime
    trials: dict[str, Directive]

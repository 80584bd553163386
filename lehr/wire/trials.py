"""Models of trials: training runs of one schedule with one seed, their curves and how they were executed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from lehr.wire.base import Positive, Request, Response, ScheduleDocument, Text, Warning_
from lehr.wire.diagnosis import Finding
from lehr.wire.forecasts import LossForecast
from lehr.wire.objectives import Evaluations
from lehr.wire.training import TrialProgress

TrialState = Literal["WAITING", "RUNNING", "COMPLETED", "PRUNED", "DIVERGED", "FAILED", "CANCELLED"]
FINISHED_TRIAL_STATES: tuple[TrialState, ...] = ("COMPLETED", "PRUNED", "DIVERGED", "FAILED", "CANCELLED")
Purpose = Literal["search", "evaluation", "baseline", "confirm", "range_test"]
Origin = Literal["sampler", "user", "guess", "warm", "prior", "law", "confirmation", "range_test"]


SecondsByCount = Annotated[
    dict[Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}$")], Annotated[float, Field(ge=0)]], Field(max_length=100)
]


class Execution(Request):
    """How a worker trained a trial: alone (`solo`) or batched with others as one program (`cohort`), and why.

    `together`: the size of the cohort when the trial joined it, including the trial. `epoch_seconds`: what the worker
    measured before choosing: the seconds for an epoch by the number of trials trained together (`1`: alone).
    `processes`: the number of concurrent training processes on the device, each training one trial.
    `processes_seconds`: the measured seconds for an epoch by the number of processes.
    """

    mode: Literal["solo", "cohort"]
    together: Positive
    reason: Annotated[Text, Field(max_length=1000)]
    epoch_seconds: SecondsByCount = Field(default_factory=dict)
    processes: Positive = 1
    processes_seconds: SecondsByCount = Field(default_factory=dict)


class Fold(Response):
    """The fold of the data, of `count`, that is held out for validation; `index` starts at 0."""

    index: int
    count: int


class Trial(Response):
    """A trial. `step`: the last reported step. `losses`: how many workers were lost while training it.

    `origin`: where the schedule comes from: the `sampler`; the `user`, as a baseline or enqueued; a `guess` in the
    space; a similar study (`warm`); a common default (`prior`); a forecast (`law`); the `confirmation`; or a
    `range_test`.
    `progress`: the latest speed and memory sent by its worker; it changes without a new revision.

    A search trial with `evaluations` is trained several times: each training is a separate trial of purpose
    `evaluation`, with the search trial's number as `evaluates`, on a `fold` if the study has folds. The search trial's
    `value` is the mean of theirs, and its curve and diagnosis are based on the mean of their curves.

    `measured`: the final values of the constrained metrics of a COMPLETED trial (means if it has `evaluations`).
    `violation`: above 0, the trial violates a constraint, and this is the largest violation relative to its bound; at 0
    or below, it satisfies all. Both are null without constraints. If the objective is `steps_to_target`, they come from
    the report that satisfied the constraints best, and a training that never did counts with all its steps.

    `diagnosis`: the problems found in the training; empty if there are none, null in lists and until it has ended.
    `forecast`: the predicted final loss while it runs; null in lists.
    `warnings`: the parts of these two that were left out because they failed.
    `execution`: null until the trial has ended, or if the worker does not send it.
    """

    study_id: str
    trial: str
    number: int
    purpose: Purpose
    origin: Origin
    state: TrialState
    schedule: ScheduleDocument
    seed: int
    horizon_fraction: float
    value: float | None
    evaluates: int | None = None
    fold: Fold | None = None
    evaluations: Evaluations | None = None
    measured: dict[str, float | None] | None = None
    violation: float | None = None
    attempt: int
    losses: int
    worker: str | None
    step: int | None
    horizon_steps: int | None
    progress: TrialProgress | None = None
    diagnosis: list[Finding] | None
    forecast: LossForecast | None = None
    warnings: list[Warning_] = Field(default_factory=list)
    execution: Execution | None = None
    error: str | None
    revision: int
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class EnqueueTrial(Request):
    """A user's schedule, or a forecast's suggestion (`law`), to train within the study's budget."""

    schedule: ScheduleDocument
    origin: Literal["user", "law"] = "user"


class Curve(Response):
    """A trial's reports by step. Values that were not finite are null.

    `mean_of`: for a search trial with `evaluations`, the numbers of the trials that the curve is the mean of: those
    that are COMPLETED, or DIVERGED if that ended the search trial. Each has its own curve.
    """

    study_id: str
    number: int
    mean_of: list[int] | None = None
    step: list[int]
    epoch: list[float | None]
    lr: list[float]
    train_loss: list[float | None]
    metrics: dict[str, list[float | None]]

"""Trials on the wire: one training run of one schedule with one seed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from lehr.wire.base import Positive, Request, Response, ScheduleDocument, Text
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
    """How a worker trained a trial: alone (`solo`), or `together` with others as one program (`cohort`), and why.

    `together`: in the cohort when the trial joined it, itself included. `epoch_seconds`: what the worker measured
    before it chose: by the number of trials together (`1`: alone), how long an epoch of all of them takes.
    `processes`: that train at once on the device, each a trial alone, where the study has as many; and as measured,
    `processes_seconds`: by their number, how long an epoch of one trial in each of them takes.
    """

    mode: Literal["solo", "cohort"]
    together: Positive
    reason: Annotated[Text, Field(max_length=1000)]
    epoch_seconds: SecondsByCount = Field(default_factory=dict)
    processes: Positive = 1
    processes_seconds: SecondsByCount = Field(default_factory=dict)


class Fold(Response):
    """Which of `count` parts of the data is held out to validate on; `index` from 0."""

    index: int
    count: int


class Trial(Response):
    """A trial's document. `step` is the last reported one; `losses` counts workers lost on it.

    `origin`: who chose the schedule: the search's `sampler`; the `user`, by a baseline or by hand; a `guess` of the
    space's; `warm`, what did well in studies like this one; a `prior` of the field; the `law` of a
    forecast; or the `confirmation`.
    `progress`: what its worker told last of speed and memory; it changes without a new revision.

    A search trial with `evaluations` is trained several times: each training is a trial of its own, of purpose
    `evaluation`, with the search trial's number as `evaluates`, on a `fold` if the study has any. The search
    trial's `value` is the mean of theirs, and its curve and diagnosis are of the mean of their curves.

    `measured`: of a COMPLETED trial, what the constrained metrics came to (means where it has `evaluations`), and
    `violation`: above 0 it breaks a constraint, relative to the bound it breaks most; at 0 or below it keeps to all.
    Null in studies without constraints. Where the study counts `steps_to_target`, they are those of the report that
    kept to the constraints best, and a training that never did counts with all its steps.

    `diagnosis`: what is wrong with the training; empty where nothing is, null until it has ended, and in lists.
    `forecast`: of its last loss, while it runs; null in lists.
    `execution`: null until the trial has ended, and where the worker does not tell.
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
    execution: Execution | None = None
    error: str | None
    revision: int
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class EnqueueTrial(Request):
    """A schedule of the user's own, or a forecast's suggestion (`law`), to be trained within the study's budget."""

    schedule: ScheduleDocument
    origin: Literal["user", "law"] = "user"


class Curve(Response):
    """A trial's reports, by step. Values that were not finite are null.

    `mean_of`: of a search trial with `evaluations`, the numbers of the trainings whose mean this is: those that
    COMPLETED, or DIVERGED where that ended it. Each has a curve of its own.
    """

    study_id: str
    number: int
    mean_of: list[int] | None = None
    step: list[int]
    epoch: list[float | None]
    lr: list[float]
    train_loss: list[float | None]
    metrics: dict[str, list[float | None]]

"""Trials on the wire: one training run of one schedule with one seed."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from lehr.wire.base import Request, Response, ScheduleDocument
from lehr.wire.diagnosis import Finding
from lehr.wire.forecasts import LossForecast
from lehr.wire.training import TrialProgress

TrialState = Literal["WAITING", "RUNNING", "COMPLETED", "PRUNED", "DIVERGED", "FAILED", "CANCELLED"]
FINISHED_TRIAL_STATES: tuple[TrialState, ...] = ("COMPLETED", "PRUNED", "DIVERGED", "FAILED", "CANCELLED")
Purpose = Literal["search", "baseline", "confirm", "range_test"]
Origin = Literal["sampler", "user", "guess", "warm", "prior", "law", "confirmation", "range_test"]


class Trial(Response):
    """A trial's document. `step` is the last reported one; `losses` counts workers lost on it.

    `origin`: who chose the schedule: the search's `sampler`; the `user`, by a baseline or by hand; a `guess` of the
    space's; `warm`, what did well in studies like this one; a `prior` of the field; the `law` of a
    forecast; or the `confirmation`.
    `progress`: what its worker told last of speed and memory; it changes without a new revision.

    `diagnosis`: what is wrong with the training; empty where nothing is, null until it has ended, and in lists.
    `forecast`: of its last loss, while it runs; null in lists.
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
    attempt: int
    losses: int
    worker: str | None
    step: int | None
    horizon_steps: int | None
    progress: TrialProgress | None = None
    diagnosis: list[Finding] | None
    forecast: LossForecast | None = None
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
    """A trial's reports, by step. Values that were not finite are null."""

    study_id: str
    number: int
    step: list[int]
    epoch: list[float | None]
    lr: list[float]
    train_loss: list[float | None]
    metrics: dict[str, list[float | None]]

"""Who trains, and what can be trained."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from lehr.wire.base import Response
from lehr.wire.training import Training


class Worker(Response):
    """`training`: the first of the trials that it runs, how they go included."""

    id: str
    name: str
    device: str
    tasks: list[str]
    labels: dict[str, str]
    live: bool
    running_trials: int
    training: list[Training] = Field(default_factory=list)
    last_seen_at: datetime


class Task(Response):
    """`live` tells whether a worker that offers it was seen lately; `folds` whether one can hold out a fold."""

    name: str
    params_schema: dict[str, Any] | None
    metrics: list[str] | None
    folds: bool = False
    live: bool
    workers: int

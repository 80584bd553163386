"""Models of workers and of the tasks they offer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from lehr.wire.base import Response
from lehr.wire.training import Training


class Worker(Response):
    """A worker. `training`: the first of the trials it is running, with their progress."""

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
    """A task. `live`: whether a worker that offers it was seen recently. `folds`: whether a worker can hold out a fold
    of its data. `looks`: whether a worker describes its data on request.
    """

    name: str
    params_schema: dict[str, Any] | None
    metrics: list[str] | None
    folds: bool = False
    looks: bool = False
    live: bool
    workers: int

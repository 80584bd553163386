"""Who trains, and what can be trained."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lehr.wire.base import Response


class Worker(Response):
    id: str
    name: str
    device: str
    tasks: list[str]
    labels: dict[str, str]
    live: bool
    running_trials: int
    last_seen_at: datetime


class Task(Response):
    """`live` tells whether a worker that offers it was seen lately."""

    name: str
    params_schema: dict[str, Any] | None
    metrics: list[str] | None
    live: bool
    workers: int

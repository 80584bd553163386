"""Models of a running trial's progress: steps, speed, memory and utilisation."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from lehr.wire.base import Count, Positive, Request, Response


class TrainingProgress(Request):
    """A trial's progress, which a worker may send with any call on its lease. Values it cannot measure are null.

    `device_memory_bytes`: memory of the process that trains it, shared with the rest of its cohort; on a CPU, resident
    memory. `device_utilisation`: from 0 to 1; on a CPU, the utilisation of the threads available for training.
    """

    steps_done: Count
    horizon_steps: Positive
    steps_per_second: Annotated[float, Field(ge=0)] | None = None
    device_memory_bytes: Count | None = None
    device_utilisation: Annotated[float, Field(ge=0, le=1)] | None = None


class TrialProgress(Response):
    """The latest progress of a trial's current or final attempt, and when it was sent."""

    steps_done: int
    horizon_steps: int
    steps_per_second: float | None
    device_memory_bytes: int | None
    device_utilisation: float | None
    at: datetime


class Training(Response):
    """A trial that a worker is training. `step`: the last reported one. `progress`: null until the worker sends it."""

    study_id: str
    trial: str
    number: int
    family: str
    step: int | None
    horizon_steps: int | None
    progress: TrialProgress | None


LONGEST_SECONDS = 100 * 365 * 24 * 3600
"""A longer estimate of the time left is not shown: it rests on almost no measurements."""

CELLS = ("steps", "steps/s", "memory", "busy", "time left")


def in_cells(
    progress: TrainingProgress | TrialProgress | None, step: int | None = None, horizon_steps: int | None = None
) -> tuple[str, ...]:
    """Format progress for people, one string for each of `CELLS`; empty for unknown values.

    `step`, `horizon_steps`: from the trial's last report, which may be more recent than `progress`.

    >>> in_cells(TrainingProgress(steps_done=250, horizon_steps=1000, steps_per_second=12.5), step=299)
    ('300/1000 30%', '12.5', '', '', '0:00:56')
    """
    done = max(0 if progress is None else progress.steps_done, 0 if step is None else step + 1)
    horizon = horizon_steps if progress is None else progress.horizon_steps
    steps = f"{done}/{horizon} {done / horizon:.0%}" if done and horizon else ""
    if progress is None:
        return (steps, "", "", "", "")
    speed, memory, busy = progress.steps_per_second, progress.device_memory_bytes, progress.device_utilisation
    return (
        steps,
        "" if speed is None else f"{speed:.0f}" if 1000 <= speed < 1e6 else f"{speed:.3g}",
        "" if memory is None else f"{memory / 2**30:.1f} GiB" if memory >= 2**30 else f"{memory / 2**20:.0f} MiB",
        "" if busy is None else f"{busy:.0%}",
        _time_left(max(0, progress.horizon_steps - done), speed),
    )


def _time_left(steps: int, speed: float | None) -> str:
    seconds = steps / speed if speed else math.inf
    return str(timedelta(seconds=round(seconds))) if seconds < LONGEST_SECONDS else ""

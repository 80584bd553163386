"""How the trials under way go: fed by training, read by beats, by results and by whoever watches the worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from lehr.wire.leases import LeasedTrial
from lehr.wire.training import TrainingProgress
from workers.monitor.pace import Pace


@dataclass(frozen=True, slots=True)
class Usage:
    """What training has of its device. `utilisation`: from 0 to 1. None: the machine does not tell."""

    memory_bytes: int | None = None
    utilisation: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A trial under way, for people. `progress` is None before its first step."""

    study: str
    trial: LeasedTrial
    progress: TrainingProgress | None


class Progress:
    """Of one lease after the other. Any thread may call it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._trials: dict[str, tuple[str, LeasedTrial]] = {}
        self._paces: dict[str, Pace] = {}
        self._usage = Usage()

    def start(self, study: str, trial: LeasedTrial) -> None:
        with self._lock:
            self._trials[trial.trial] = (study, trial)
            self._paces.pop(trial.trial, None)

    def open(self, trial: str, horizon_steps: int) -> None:
        with self._lock:
            self._paces[trial] = Pace(horizon_steps, self._clock())

    def step(self, trial: str, step: int) -> dict[str, object] | None:
        """So many steps are done; what the log is to be told of it now and then."""
        with self._lock:
            pace, now = self._paces.get(trial), self._clock()
            if pace is None:
                return None
            pace.see(step, now)
            return pace.due(step, now)

    def measured(self, usage: Usage) -> None:
        with self._lock:
            self._usage = usage

    def of(self, trial: str) -> TrainingProgress | None:
        """What the server may be told; None before the trial's first step."""
        with self._lock:
            pace = self._paces.get(trial)
            return None if pace is None or not pace.steps else self._told(pace)

    def end(self, trial: str) -> None:
        """It is under way no more."""
        with self._lock:
            self._trials.pop(trial, None)
            self._paces.pop(trial, None)

    def lines(self) -> list[Line]:
        """The trials under way, in the order in which they began."""
        with self._lock:
            return [
                Line(study, trial, self._told(pace) if (pace := self._paces.get(name)) is not None else None)
                for name, (study, trial) in self._trials.items()
            ]

    def _told(self, pace: Pace) -> TrainingProgress:
        speed = pace.speed(self._clock())
        return TrainingProgress(
            steps_done=pace.steps,
            horizon_steps=pace.horizon_steps,
            steps_per_second=None if speed is None else round(speed, 3),
            device_memory_bytes=self._usage.memory_bytes,
            device_utilisation=self._usage.utilisation,
        )

"""The progress of running trials, updated by training, and read by heartbeats, results and the live table."""

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
    """The training's use of its device. `utilisation`: from 0 to 1. None: the machine does not report it."""

    memory_bytes: int | None = None
    utilisation: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A running trial, for the live table. `progress`: None until its data and model are loaded."""

    study: str
    trial: LeasedTrial
    progress: TrainingProgress | None


class Progress:
    """The progress of all running trials. Thread-safe."""

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
        """Record that `step` steps are done. Returns the keys of a log line when one is due."""
        with self._lock:
            pace, now = self._paces.get(trial), self._clock()
            if pace is None:
                return None
            pace.record(step, now)
            return pace.due(step, now)

    def measured(self, usage: Usage) -> None:
        with self._lock:
            self._usage = usage

    def of(self, trial: str) -> TrainingProgress | None:
        """The trial's progress for the server; None before its first step."""
        with self._lock:
            pace = self._paces.get(trial)
            return None if pace is None or not pace.steps else self._document(pace)

    def end(self, trial: str) -> None:
        """Forget a trial that has ended."""
        with self._lock:
            self._trials.pop(trial, None)
            self._paces.pop(trial, None)

    def lines(self) -> list[Line]:
        """The running trials, in the order in which they started."""
        with self._lock:
            return [
                Line(study, trial, self._document(pace) if (pace := self._paces.get(name)) is not None else None)
                for name, (study, trial) in self._trials.items()
            ]

    def _document(self, pace: Pace) -> TrainingProgress:
        speed = pace.speed(self._clock())
        return TrainingProgress(
            steps_done=pace.steps,
            horizon_steps=pace.horizon_steps,
            steps_per_second=None if speed is None else round(speed, 3),
            device_memory_bytes=self._usage.memory_bytes,
            device_utilisation=self._usage.utilisation,
        )

"""Measures how fast several processes on one device train a task at once, each one trial.

The processes are real ones, made anew and ended again. All are ready, and have warmed up, before the clock starts; then
the first one trains by itself for a while, then the first two do, then the first four, ….
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from lehr.schedules import schedule_from_dict
from workers.training.device import bound_memory, configure_torch
from workers.training.interpreter import interpreter
from workers.training.run import Run
from workers.training.solo import build_task

READY_SECONDS = 120.0
"""How long processes may take to start, load the data and take their first steps."""
TRAIN_SECONDS = 2.0
"""How long so many train at once."""
PATIENCE_SECONDS = 30.0
"""How much longer than that a step and an evaluation may take."""
WARM_UP_STEPS = 3
QUIET = {"family": "constant", "start_lr": 1e-4, "end_lr": 1e-4}


class RehearsalError(RuntimeError):
    """A process could not train beside the others."""


@dataclass(frozen=True, slots=True)
class Part:
    """What each process is given. `memory_share`: of the GPU, that it may use; None for no limit."""

    task: Mapping[str, Any]
    data_dir: Path
    device: str
    threads: int
    memory_share: float | None = None


def rehearse(part: Part, most: int) -> dict[int, float]:
    """By the number of processes, up to `most`: the seconds that an epoch takes, of one trial in each of them.

    Of those numbers that could be measured; raises RehearsalError where not even one process could train.
    """
    counts = [count for count in (2**power for power in range(most.bit_length())) if count <= most]
    seconds: dict[int, float] = {}
    with Rehearsal(part, counts[-1]) as rehearsal:
        for count in counts:
            try:
                seconds[count] = rehearsal.epoch_seconds(count)
            except RehearsalError:
                if not seconds:
                    raise
                break
    return seconds


class Rehearsal:
    """So many processes, until the block ends."""

    def __init__(self, part: Part, count: int) -> None:
        self._actors = [_Actor(part) for _ in range(count)]
        self._ready = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for actor in self._actors:
            actor.end()

    def epoch_seconds(self, count: int) -> float:
        """Of one trial in each of the first `count` processes, while these train at once.

        Raises RehearsalError where one of them cannot train.
        """
        playing = self._actors[:count]
        for actor in self._actors[self._ready :]:
            actor.hear(READY_SECONDS)
            self._ready += 1
        for actor in playing:
            actor.tell(TRAIN_SECONDS)
        return sum(actor.hear(TRAIN_SECONDS + PATIENCE_SECONDS) for actor in playing) / count


class _Actor:
    """One process, which says when it is ready, and then of each order what an epoch took."""

    def __init__(self, part: Part) -> None:
        self._connection, theirs = Pipe()
        self._process = subprocess.Popen(
            interpreter(__name__, play.__name__, theirs.fileno()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self.tell(part)

    def tell(self, order: Part | float) -> None:
        try:
            self._connection.send(order)
        except OSError as error:
            raise RehearsalError("a process ended by itself") from error

    def hear(self, seconds: float) -> float:
        try:
            told = self._connection.recv() if self._connection.poll(seconds) else "a process took too long"
        except (EOFError, OSError) as error:
            raise RehearsalError("a process ended by itself") from error
        if isinstance(told, str):
            raise RehearsalError(told)
        return float(told)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()


def play(descriptor: int) -> None:
    """The process itself. `descriptor`: of the pipe to who measures; when that is gone, so is this."""
    connection = Connection(descriptor)
    try:
        stage = _Stage(connection.recv())
        connection.send(0.0)
        while True:
            connection.send(stage.epoch_seconds(connection.recv()))
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001 - whatever the task raises is told
        connection.send(f"{type(error).__name__}: {error}"[:300])


class _Stage:
    def __init__(self, part: Part) -> None:
        self._device = torch.device(part.device)
        configure_torch(self._device, part.threads)
        bound_memory(self._device, part.memory_share)
        self._task = build_task(part.task, part.data_dir)
        self._steps = self._task.params.steps_per_epoch(self._task.data(self._device).train_size)
        self._run = self._new_run()
        for _ in range(WARM_UP_STEPS):
            self._advance()
        self._run.evaluate()

    def epoch_seconds(self, seconds: float) -> float:
        """What an epoch takes with its evaluation, found by training for so many seconds."""
        begun, steps, evaluations = self._now(), 0, 0
        while (passed := self._now() - begun) < seconds or not steps:
            evaluations += self._advance()
            steps += 1
        if evaluations:
            return passed / steps * self._steps
        begun = self._now()
        self._run.evaluate()
        return passed / steps * self._steps + self._now() - begun

    def _advance(self) -> bool:
        """A step; whether the model was evaluated too."""
        if self._run.finished:
            self._run = self._new_run()
        return self._run.advance() is not None

    def _new_run(self) -> Run:
        return Run(self._task, schedule_from_dict(QUIET), 0, self._device)

    def _now(self) -> float:
        """By the clock, once the device has done what it was asked to: what the others take of it counts."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

"""Measures how fast several processes train a task at once on one device, with one trial each.

The benchmark starts new processes and ends them afterwards. All warm up before the measurement; then the first process
trains for a while, then the first two, then the first four, ….
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
"""How long processes may take to start, load the data and warm up."""
TRAIN_SECONDS = 2.0
"""How long each number of processes trains."""
PATIENCE_SECONDS = 30.0
"""How much longer the last step and an evaluation may take."""
WARM_UP_STEPS = 3
QUIET = {"family": "constant", "start_lr": 1e-4, "end_lr": 1e-4}


class BenchmarkError(RuntimeError):
    """A process of the benchmark could not train."""


@dataclass(frozen=True, slots=True)
class BenchmarkSpec:
    """What each process trains, and where. `memory_share`: its share of the GPU's memory; None for no limit."""

    task: Mapping[str, Any]
    data_dir: Path
    device: str
    threads: int
    memory_share: float | None = None


def benchmark_processes(spec: BenchmarkSpec, most: int) -> dict[int, float]:
    """Seconds for an epoch, by the number of processes up to `most`, each training one trial.

    Stops at the first number that cannot train. Raises BenchmarkError if not even one process can.
    """
    counts = [count for count in (2**power for power in range(most.bit_length())) if count <= most]
    seconds: dict[int, float] = {}
    with ProcessBenchmark(spec, counts[-1]) as benchmark:
        for count in counts:
            try:
                seconds[count] = benchmark.epoch_seconds(count)
            except BenchmarkError:
                if not seconds:
                    raise
                break
    return seconds


class ProcessBenchmark:
    """`count` processes, which end with the context."""

    def __init__(self, spec: BenchmarkSpec, count: int) -> None:
        self._processes = [_Process(spec) for _ in range(count)]
        self._ready = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes:
            process.end()

    def epoch_seconds(self, count: int) -> float:
        """The mean duration of an epoch while the first `count` processes train at once.

        Raises BenchmarkError if one of them cannot train.
        """
        training = self._processes[:count]
        for process in self._processes[self._ready :]:
            process.receive(READY_SECONDS)
            self._ready += 1
        for process in training:
            process.send(TRAIN_SECONDS)
        return sum(process.receive(TRAIN_SECONDS + PATIENCE_SECONDS) for process in training) / count


class _Process:
    """One process. It sends a number when it is ready, and the duration of an epoch for each request."""

    def __init__(self, spec: BenchmarkSpec) -> None:
        self._connection, theirs = Pipe()
        self._process = subprocess.Popen(
            interpreter(__name__, answer_requests.__name__, theirs.fileno()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self.send(spec)

    def send(self, request: BenchmarkSpec | float) -> None:
        try:
            self._connection.send(request)
        except OSError as error:
            raise BenchmarkError("a process ended unexpectedly") from error

    def receive(self, seconds: float) -> float:
        try:
            answer = self._connection.recv() if self._connection.poll(seconds) else "a process took too long"
        except (EOFError, OSError) as error:
            raise BenchmarkError("a process ended unexpectedly") from error
        if isinstance(answer, str):
            raise BenchmarkError(answer)
        return float(answer)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()


def answer_requests(descriptor: int) -> None:
    """The entry point of a process. `descriptor`: of the pipe to the benchmark; the process ends when it closes."""
    connection = Connection(descriptor)
    try:
        training = _TimedTraining(connection.recv())
        connection.send(0.0)
        while True:
            connection.send(training.epoch_seconds(connection.recv()))
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001 - any exception of the task is sent to the benchmark
        connection.send(f"{type(error).__name__}: {error}"[:300])


class _TimedTraining:
    def __init__(self, spec: BenchmarkSpec) -> None:
        self._device = torch.device(spec.device)
        configure_torch(self._device, spec.threads)
        bound_memory(self._device, spec.memory_share)
        self._task = build_task(spec.task, spec.data_dir)
        self._steps = self._task.params.steps_per_epoch(self._task.data(self._device).train_size)
        self._run = self._new_run()
        for _ in range(WARM_UP_STEPS):
            self._advance()
        self._run.evaluate()

    def epoch_seconds(self, seconds: float) -> float:
        """The duration of an epoch with its evaluation, measured by training for `seconds`."""
        started, steps, evaluations = self._now(), 0, 0
        while (passed := self._now() - started) < seconds or not steps:
            evaluations += self._advance()
            steps += 1
        if evaluations:
            return passed / steps * self._steps
        started = self._now()
        self._run.evaluate()
        return passed / steps * self._steps + self._now() - started

    def _advance(self) -> bool:
        """Train a step. Returns whether the model was evaluated too."""
        if self._run.finished:
            self._run = self._new_run()
        return self._run.advance() is not None

    def _new_run(self) -> Run:
        return Run(self._task, schedule_from_dict(QUIET), 0, self._device)

    def _now(self) -> float:
        """The wall-clock time after the device has finished its work, so that waiting for other processes counts."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

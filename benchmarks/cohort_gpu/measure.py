"""Measures an epoch's time and memory: of one trial alone, and of cohorts from Python or replayed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from lehr.schedules import schedule_from_dict
from workers.cohort.capture import recorder_of
from workers.cohort.cohort import Cohort
from workers.cohort.member import new_member
from workers.cohort.memory import is_out_of_memory
from workers.tasks.task import Task
from workers.training.run import Run
from workers.training.solo import build_task

Way = Literal["alone", "python", "replayed", "compiled"]
"""`compiled`: the losses by torch.compile, and replayed where the device can."""
WARM_EPOCHS = 5
"""After so many an epoch's smaller last batch is replayed as well."""
MIB = 2**20
SCHEDULE = schedule_from_dict({"family": "constant", "start_lr": 1e-4, "end_lr": 1e-4})
LONG = {"epochs": 1000}


@dataclass(frozen=True)
class Case:
    """`trial_epochs`: what counts as one trial where trials an hour are told."""

    task: str
    params: dict[str, Any]
    trial_epochs: int = 10

    def build(self, folder: Path, precision: str) -> Task:
        params = {**LONG, **self.params}
        if precision != "fp32":
            params["precision"] = precision
        return build_task({"name": self.task, "params": params}, folder)


@dataclass(frozen=True)
class Figure:
    """`memory_mib`: the most that torch held, where the device tells; `words`: what went otherwise than asked."""

    epoch_seconds: float
    memory_mib: float | None = None
    words: str = ""

    def trials_an_hour(self, size: int, epochs: int) -> float:
        return 3600 * size / (self.epoch_seconds * epochs)


def measure(task: Task, device: torch.device, way: Way, size: int, seconds: float) -> Figure | None:
    """None where so many did not fit into memory."""
    _reset(device)
    try:
        return _alone(task, device, seconds) if way == "alone" else _together(task, device, way, size, seconds)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None


def new_cohort(task: Task, device: torch.device, way: Way, size: int) -> Cohort:
    data = task.data(device)
    cohort = Cohort(task, data, device, recorder_of(device, "off" if way == "python" else "auto"))
    if way == "compiled":
        cohort._model._losses = torch.compile(cohort._model._losses, dynamic=False)
    members = [
        new_member(task, data, SCHEDULE, seed, name=str(seed), fraction=1.0, device=device) for seed in range(size)
    ]
    cohort.join(members, [None] * size)
    return cohort


def epoch_of(cohort: Cohort) -> None:
    """To its end, evaluation included."""
    for _ in range(cohort.steps_left):
        cohort.advance()


def synchronized(device: torch.device) -> float:
    """Seconds, once the device has done what it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _alone(task: Task, device: torch.device, seconds: float) -> Figure:
    run = Run(task, SCHEDULE, 0, device)

    def epoch() -> None:
        while run.advance() is None:
            pass

    epoch()
    return Figure(_median_seconds(epoch, device, seconds), _memory_mib(device))


def _together(task: Task, device: torch.device, way: Way, size: int, seconds: float) -> Figure:
    cohort = new_cohort(task, device, way, size)
    begun = synchronized(device)
    for _ in range(1 if way == "python" else WARM_EPOCHS):
        epoch_of(cohort)
    words = [cohort.not_replayed] if cohort.not_replayed else []
    if way == "compiled":
        words.append(f"the first {WARM_EPOCHS} epochs took {synchronized(device) - begun:.0f} s")
    return Figure(_median_seconds(lambda: epoch_of(cohort), device, seconds), _memory_mib(device), "; ".join(words))


def _median_seconds(epoch: Callable[[], None], device: torch.device, seconds: float) -> float:
    """Of epochs for so long, three at least."""
    spent: list[float] = []
    while len(spent) < 3 or sum(spent) < seconds:
        begun = synchronized(device)
        epoch()
        spent.append(synchronized(device) - begun)
    return statistics.median(spent)


def _reset(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _memory_mib(device: torch.device) -> float | None:
    return torch.cuda.max_memory_reserved(device) / MIB if device.type == "cuda" else None

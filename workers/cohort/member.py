"""A trial in a cohort: what is its own besides its numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lehr.schedules import Schedule
from workers.tasks.randomness import derived_seed
from workers.tasks.task import Task, TensorData
from workers.training.rates import Rates


@dataclass(slots=True, eq=False)
class Member:
    """One trial: `step` is the next to do, 0-based; `noise` draws its dropout."""

    name: str
    seed: int
    rates: Rates
    horizon_steps: int
    noise: torch.Generator
    step: int = 0

    @property
    def finished(self) -> bool:
        return self.step >= self.horizon_steps


def new_member(
    task: Task, data: TensorData, schedule: Schedule, seed: int, *, name: str, fraction: float, device: torch.device
) -> Member:
    """Raises InvalidValueError for a schedule that follows a metric which the task does not report."""
    horizon_steps = task.horizon_steps(data, fraction)
    noise = torch.Generator(device).manual_seed(derived_seed("noise", seed))
    return Member(name, seed, Rates(schedule, horizon_steps, task.metrics), horizon_steps, noise)

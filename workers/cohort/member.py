"""A trial in a cohort: its seed, rates, random generator and step. Its weights are a row of the cohort's `Stack`."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lehr.schedules import Schedule
from workers.tasks.randomness import derived_seed
from workers.tasks.task import Task, TensorData
from workers.training.rates import Rates


@dataclass(slots=True, eq=False)
class Member:
    """One trial. `step`: the next one, 0-based. `noise`: the generator of its dropout masks."""

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
    """A member at step 0. Raises InvalidValueError for a schedule that follows a metric the task does not report."""
    horizon_steps = task.horizon_steps(data, fraction)
    noise = torch.Generator(device).manual_seed(derived_seed("noise", seed))
    return Member(name, seed, Rates(schedule, horizon_steps, task.metrics), horizon_steps, noise)

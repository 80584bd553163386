"""Profiles whether the device's work or the launching host limits a step."""

from __future__ import annotations

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.cohort_gpu.measure import WARM_EPOCHS, Way, epoch_of, new_cohort, synchronized
from workers.tasks.task import Task

STEPS = 20
ROWS = 12


def profiled(task: Task, device: torch.device, way: Way, size: int) -> str:
    """Of so many steps within an epoch: the share of time in which the device computes, and what takes it."""
    cohort = new_cohort(task, device, way, size)
    for _ in range(WARM_EPOCHS):
        epoch_of(cohort)
    steps = min(STEPS, cohort.steps_left - 1)
    on_device = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_device else [])]
    begun = synchronized(device)
    with profile(activities=activities) as found:
        for _ in range(steps):
            cohort.advance()
        wall = synchronized(device) - begun
    averages = found.key_averages()
    kind = "device" if on_device else "cpu"
    busy = sum(getattr(each, f"self_{kind}_time_total") for each in averages) / 1e6
    table = averages.table(sort_by=f"self_{kind}_time_total", row_limit=ROWS, max_name_column_width=60)
    words = f"{1000 * wall / steps:.3f} ms a step while profiled, {kind} busy for {busy / wall:.0%}"
    return f"{way}, {size} together: {words}\n\n{table}"

"""Runs for tests."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lehr.schedules import Schedule, schedule_from_dict
from lehr.wire.leases import Report
from lehr.wire.trials import Fold
from workers.tasks.files import DEFAULT_DATA_DIR
from workers.training.run import Run
from workers.training.solo import build_task

COSINE = schedule_from_dict({"family": "cosine", "start_lr": 0.1, "end_lr": 0.001})


def new_run(params: dict[str, Any], schedule: Schedule = COSINE, seed: int = 0, device: str = "cpu") -> Run:
    return run_of("digits", params, schedule, seed=seed, device=device)


def run_of(
    task: str,
    params: dict[str, Any],
    schedule: Schedule = COSINE,
    *,
    data_dir: Path = DEFAULT_DATA_DIR,
    seed: int = 0,
    device: str = "cpu",
    fold: Fold | None = None,
) -> Run:
    torch.set_num_threads(1)
    return Run(build_task({"name": task, "params": params}, data_dir, fold), schedule, seed, torch.device(device))


def train(run: Run, until: int | None = None) -> list[Report]:
    """Advance to step `until`, the end by default; the reports on the way."""
    reports = []
    while run.step < (run.horizon_steps if until is None else until):
        report = run.advance()
        if report is not None:
            reports.append(report)
    return reports


def assert_resumes(new: Callable[[], Run], folder: Path, *, interruptions: int = 2) -> None:
    """Interrupted at drawn steps, saved and restored, the run's reports and weights are the uninterrupted one's."""
    whole = new()
    expected = train(whole)
    for step in random.Random(repr(expected)).sample(range(whole.horizon_steps + 1), interruptions):
        print("interrupted at step", step)
        first = new()
        before = train(first, until=step)
        torch.save(first.state(), folder / "state.pt")
        resumed = new()
        resumed.restore(torch.load(folder / "state.pt", weights_only=True))
        assert before + train(resumed) == expected
        assert all(map(torch.equal, resumed.model.state_dict().values(), whole.model.state_dict().values()))

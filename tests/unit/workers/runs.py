"""Runs for tests."""

from __future__ import annotations

from typing import Any

import torch

from lehr.schedules import Schedule, schedule_from_dict
from lehr.wire.leases import Report
from workers.run import Run
from workers.solo import build_task

COSINE = schedule_from_dict({"family": "cosine", "start_lr": 0.1, "end_lr": 0.001})


def new_run(params: dict[str, Any], schedule: Schedule = COSINE, seed: int = 0, device: str = "cpu") -> Run:
    torch.set_num_threads(1)
    return Run(build_task({"name": "digits", "params": params}), schedule, seed, torch.device(device))


def train(run: Run, until: int | None = None) -> list[Report]:
    """Advance to step `until`, the end by default; the reports on the way."""
    reports = []
    while run.step < (run.horizon_steps if until is None else until):
        report = run.advance()
        if report is not None:
            reports.append(report)
    return reports

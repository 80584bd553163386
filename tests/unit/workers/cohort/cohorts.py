"""Helpers that train cohorts, and the same trials solo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lehr.schedules import Schedule, schedule_from_dict
from lehr.wire.leases import Report
from workers.cohort.cohort import Cohort
from workers.cohort.member import Member, new_member
from workers.cohort.replay import Recorder
from workers.tasks.files import DEFAULT_DATA_DIR
from workers.tasks.task import Task
from workers.training.run import DivergedError, Run
from workers.training.solo import build_task

CPU = torch.device("cpu")
Curve = list[Report]


@dataclass(frozen=True)
class Trial:
    schedule: Schedule
    seed: int
    fraction: float = 1.0


def a_task(name: str, params: dict[str, Any], data_dir: Path = DEFAULT_DATA_DIR) -> Task:
    torch.set_num_threads(1)
    return build_task({"name": name, "params": params}, data_dir)


def trials(lr: float) -> list[Trial]:
    """Three trials that differ in family, seed, momentum and length."""
    cycle = {"start_lr": lr / 5, "peak_lr": lr, "base_momentum": 0.8, "max_momentum": 0.95}
    shapes = [
        {"family": "cosine", "start_lr": lr},
        {"family": "one_cycle", **cycle},
        {"family": "linear", "start_lr": lr},
    ]
    documents = [{"end_lr": lr / 100, **shape} for shape in shapes]
    fractions = (1.0, 1.0, 0.5)
    return [Trial(schedule_from_dict(d), seed, f) for seed, (d, f) in enumerate(zip(documents, fractions, strict=True))]


def alone(task: Task, trial: Trial, device: torch.device = CPU) -> Curve:
    """The reports of a trial; after a divergence, its report comes last."""
    run = Run(task, trial.schedule, trial.seed, device, trial.fraction)
    curve: Curve = []
    try:
        while not run.finished:
            report = run.advance()
            curve += [] if report is None else [report]
    except DivergedError as error:
        curve.append(error.report)
    return curve


def new_cohort(
    task: Task,
    trials: Sequence[Trial],
    states: Sequence[Any] | None = None,
    device: torch.device = CPU,
    recorder: Recorder | None = None,
) -> Cohort:
    data = task.data(device)
    cohort = Cohort(task, data, device, recorder)
    members = [
        new_member(task, data, trial.schedule, trial.seed, name=str(place), fraction=trial.fraction, device=device)
        for place, trial in enumerate(trials)
    ]
    cohort.join(members, states or [None] * len(members))
    return cohort


def finish(cohort: Cohort, after_step: Callable[[Cohort], object] = lambda cohort: None) -> list[Curve]:
    """Train to the end. Returns the reports of all trials, including those that joined later."""
    curves: dict[str, Curve] = {member.name: [] for member in cohort.members}
    cohort.leave([member for member in cohort.members if member.finished])
    while cohort.members:
        gone: list[Member] = []
        for member, told in cohort.advance():
            diverged = isinstance(told, DivergedError)
            curves.setdefault(member.name, []).append(told.report if isinstance(told, DivergedError) else told)
            gone += [member] if diverged or member.finished else []
        cohort.leave(gone)
        after_step(cohort)
    return list(curves.values())


def together(task: Task, trials: Sequence[Trial], device: torch.device = CPU) -> list[Curve]:
    return finish(new_cohort(task, trials, device=device))


def distance(first: Curve, second: Curve) -> float:
    """The largest relative difference between two curves; infinite if steps, rates or nulls differ."""
    frames = [[(r.step, r.epoch, r.lr, set(r.metrics)) for r in curve] for curve in (first, second)]
    if frames[0] != frames[1]:
        return float("inf")
    worst = 0.0
    for one, other in zip(first, second, strict=True):
        pairs = [(one.train_loss, other.train_loss), *((one.metrics[n], other.metrics[n]) for n in one.metrics)]
        for a, b in pairs:
            if a is None or b is None:
                worst = max(worst, 0.0 if a is b else float("inf"))
            else:
                worst = max(worst, abs(a - b) / max(abs(a), 1e-3))
    return worst

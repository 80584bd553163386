"""The bare training loop, without the service: trials in cohorts of one size.

It measures from the first step to the last evaluation. If the size is 1, trials run one after the other by the loop of
a trial alone, as workers train them then.

Prints its wall-clock seconds and its processor seconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from lehr.schedules import schedule_from_dict
from workers.cohort.cohort import Cohort
from workers.cohort.member import new_member
from workers.tasks.task import Task
from workers.training.run import DivergedError, Run
from workers.training.solo import build_task

Schedules = Sequence[dict[str, Any]]


def main() -> None:
    order = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    device = torch.device("cpu")
    task = build_task(order["task"], Path(order["data_dir"]))
    task.data(device)
    begun, processor = time.perf_counter(), time.process_time()
    if order["size"] == 1:
        train_alone(task, order["schedules"], device)
    else:
        train_together(task, order["schedules"], order["size"], device)
    print(json.dumps([time.perf_counter() - begun, time.process_time() - processor]))


def train_alone(task: Task, schedules: Schedules, device: torch.device) -> None:
    for seed, document in enumerate(schedules):
        run = Run(task, schedule_from_dict(document), seed, device)
        with suppress(DivergedError):
            while not run.finished:
                run.advance()


def train_together(task: Task, schedules: Schedules, size: int, device: torch.device) -> None:
    data = task.data(device)
    members = [
        new_member(task, data, schedule_from_dict(document), seed, name="", fraction=1.0, device=device)
        for seed, document in enumerate(schedules)
    ]
    for start in range(0, len(members), size):
        cohort, some = Cohort(task, data, device), members[start : start + size]
        cohort.join(some, [None] * len(some))
        while cohort.members:
            diverged = [member for member, told in cohort.advance() if isinstance(told, DivergedError)]
            cohort.leave([*diverged, *(member for member in cohort.members if member.finished)])


if __name__ == "__main__":
    main()

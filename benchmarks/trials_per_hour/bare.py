"""The fused loop alone: so many trials in cohorts of one size, from the first step to the last evaluation.

Prints its seconds, and those of processor time.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import count
from pathlib import Path

import torch

from lehr.schedules import schedule_from_dict
from workers.cohort.cohort import Cohort
from workers.cohort.member import new_member
from workers.run import DivergedError
from workers.solo import build_task


def main() -> None:
    order = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    device = torch.device("cpu")
    task = build_task(order["task"], Path(order["data_dir"]))
    data = task.data(device)
    seeds = count()

    def train(documents: list[dict[str, object]]) -> None:
        cohort = Cohort(task, data, device)
        members = [
            new_member(task, data, schedule_from_dict(document), next(seeds), name="", fraction=1.0, device=device)
            for document in documents
        ]
        cohort.join(members, [None] * len(members))
        while cohort.members:
            diverged = [member for member, told in cohort.advance() if isinstance(told, DivergedError)]
            cohort.leave([*diverged, *(member for member in cohort.members if member.finished)])

    schedules, size = order["schedules"], order["size"]
    begun, processor = time.perf_counter(), time.process_time()
    for start in range(0, len(schedules), size):
        train(schedules[start : start + size])
    print(json.dumps([time.perf_counter() - begun, time.process_time() - processor]))


if __name__ == "__main__":
    main()

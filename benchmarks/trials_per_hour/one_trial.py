"""Trains one trial in a separate process: what most people do, and what Ray's trainable calls too."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from lehr.schedules import schedule_from_dict
from lehr.wire.leases import Report
from workers.training.run import DivergedError, Run
from workers.training.solo import build_task


def train(task: dict[str, object], data_dir: str, schedule: dict[str, object], seed: int) -> list[Report]:
    """Its reports, one an epoch; what a diverged one had until then."""
    torch.set_num_threads(1)
    run = Run(build_task(task, Path(data_dir)), schedule_from_dict(schedule), seed, torch.device("cpu"))
    reports = []
    try:
        while not run.finished:
            report = run.advance()
            if report is not None:
                reports.append(report)
    except DivergedError:
        pass
    return reports


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    found = train(order["task"], order["data_dir"], order["schedule"], order["seed"])
    print(json.dumps(found[-1].metrics["val_accuracy"] if found else None))

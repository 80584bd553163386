"""Checks whether the same seed with one worker gives the same trials, with and without cohorts.

    python -m benchmarks.batches.same_seed

Runs the same study four times, each with a separate server, database and worker: twice with `LEHR_COHORT=off`, twice
with `auto`. The second `auto` reuses the measurements of the first. Prints how many trained together, and the first
trial that differs.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from lehr.cli.commands.up import DEFAULT_HOST, running
from lehr.cli.local.supervisor import Plan
from lehr.client import Client

ALONE_SECONDS = 3
"""For so long the task trains alone before `auto` measures it."""
TRIALS = 40
STUDY: dict[str, Any] = {
    "name": "same seed",
    "task": {"name": "digits", "params": {"model": "mlp", "epochs": 15, "batch_size": 32, "optimizer": "sgd"}},
    "space": {"start_lr": {"low": 1e-4, "high": 1.0}, "end_lr": {"low": 1e-6, "high": 1e-1}},
    "objective": {"metric": "val_loss", "direction": "minimize"},
    "sampler": {"name": "tpe", "seed": 0},
    "budget": {"trials": TRIALS, "parallel": 16},
    "confirm": None,
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(LEHR_CALIBRATION=f"{folder}/calibration", LEHR_PROBE_AFTER=str(ALONE_SECONDS))
        runs = [schedules(Path(folder) / str(run), cohort) for run, cohort in enumerate(("off", "off", "auto", "auto"))]
    for first, second in ((0, 1), (0, 2), (0, 3), (2, 3)):
        print(f"runs {first} and {second} differ from trial", differs(runs[first], runs[second]))


def schedules(folder: Path, cohort: str) -> list[dict[str, Any]]:
    """Of the study's trials, by number."""
    os.environ["LEHR_COHORT"] = cohort
    with running(folder, Plan(DEFAULT_HOST, 0, 1)) as fleet, Client(fleet.url) as client:
        study = client.create_study(STUDY).study_id
        while client.study(study).state not in ("COMPLETED", "FAILED"):
            time.sleep(0.3)
        trials = sorted(client.trials(study), key=lambda trial: trial.number)
    print(cohort, "together:", [trial.execution.together if trial.execution else None for trial in trials], flush=True)
    return [trial.schedule.to_dict() for trial in trials]


def differs(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> int | None:
    """The number of the first trial whose schedules are not the same; None where all are."""
    pairs = enumerate(zip(first, second, strict=True))
    return next((number for number, (one, other) in pairs if one != other), None)


if __name__ == "__main__":
    main()

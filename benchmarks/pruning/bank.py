"""Real curves of twelve families, trained once and kept in a file outside the repository.

    python benchmarks/pruning/bank.py BANK.jsonl [--points 40] [--seed 0] [--minutes 7]

Each family has `--points` schedules along its low-discrepancy sequence (the server's start-up), trained by the workers'
own code: an MLP on the handwritten digits. Each training has a different seed, as the trials of a search do. The file
is appended to, and a run continues where the last one stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from lehr.schedules import Schedule
from lehr.space import Range, Space
from service.search.sequence import spread_point
from service.store.seeds import search_seed
from workers.tasks.digits.params import DigitsParams
from workers.tasks.digits.task import Digits
from workers.training.run import DivergedError, Run

FAMILIES = (
    "constant",
    "step",
    "exponential",
    "inverse_sqrt",
    "polynomial",
    "linear",
    "cosine",
    "one_cycle",
    "wsd",
    "rex",
    "k_decay",
    "flat_cosine",
)
PARAMS: dict[str, Any] = {"batch_size": 64, "epochs": 20, "hidden": 32}
SEED = 0
"""Unless another is asked for: of each family's spread, and of the study whose trials' seeds the trainings have."""


def space() -> Space:
    """Rates over three decades, as somebody would search who knows little."""
    return Space.of(families=FAMILIES, start_lr=Range(1e-3, 1.0), end_lr=Range(1e-5, 1e-1))


def main() -> None:
    arguments = _arguments()
    known = {(one["family"], one["index"]) for one in read_bank(arguments.bank)}
    deadline = time.monotonic() + 60 * arguments.minutes
    searched = space()
    torch.set_num_threads(1)
    with arguments.bank.open("a", encoding="utf-8") as file:
        for index in range(arguments.points):
            for family in FAMILIES:
                if (family, index) in known:
                    continue
                if time.monotonic() > deadline:
                    return
                point = spread_point(searched.coordinates(family), index, arguments.seed, family)
                schedule = searched.schedule(family, point)
                seed = search_seed(arguments.seed, index * len(FAMILIES) + FAMILIES.index(family))
                made = trained(schedule, seed)
                file.write(json.dumps({"family": family, "index": index, "point": point, "seed": seed, **made}) + "\n")
                file.flush()


def read_bank(path: Path) -> list[dict[str, Any]]:
    """The curves that are there; none where no file is."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def trained(schedule: Schedule, seed: int) -> dict[str, Any]:
    """A whole training: its schedule, horizon, reports by step, and whether it diverged."""
    run = Run(Digits(DigitsParams.model_validate(PARAMS)), schedule, seed, torch.device("cpu"))
    reports, diverged = [], False
    try:
        while not run.finished:
            if (report := run.advance()) is not None:
                reports.append({"step": report.step, "train_loss": report.train_loss, **report.metrics})
    except DivergedError:
        diverged = True
    return {
        "schedule": schedule.to_dict(),
        "horizon_steps": run.horizon_steps,
        "reports": reports,
        "diverged": diverged,
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bank", type=Path, help="the file, made if it is not there")
    parser.add_argument("--points", type=int, default=40, help="schedules of each family")
    parser.add_argument("--seed", type=int, default=SEED, help="of the schedules' spread and the trainings' seeds")
    parser.add_argument("--minutes", type=float, default=7.0, help="stop after so long")
    return parser.parse_args()


if __name__ == "__main__":
    main()

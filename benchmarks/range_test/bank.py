"""The bank: sweeps, and trainings on a grid of rates that show the best one, kept in a file outside the repository.

    python benchmarks/range_test/bank.py --bank FILE --data-dir DIR

DIR has Fashion-MNIST as the task `images` reads it. If interrupted, run the same command again to continue.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lehr.schedules import Schedule, schedule_from_dict
from lehr.wire.leases import Report
from service.ranges.sweep import sweep_schedule
from workers.training.run import DivergedError, Run
from workers.training.solo import build_task

SWEEP_LOW, SWEEP_HIGH = 1e-6, 10.0
STEPS = 200
"""Of a sweep."""
SWEEP_SEEDS = tuple(range(100, 109))
SHAPES = ("constant", "cosine")
PER_DECADE = 4
FASHION = {"train_limit": 4000, "validation_fraction": 0.2, "hidden": 64}
TEXT = {"train_limit": 40_000, "context": 32, "layers": 2, "heads": 2, "head_width": 16}


@dataclass(frozen=True)
class Setting:
    """A task with the rates that it is trained with: quarter decades from `low` on, and on how many seeds."""

    task: str
    params: dict[str, Any]
    low: float = 1e-3
    count: int = 17
    seeds: int = 3

    @property
    def rates(self) -> list[float]:
        return [self.low * 10 ** (index / PER_DECADE) for index in range(self.count)]


def _tabular(file: str, optimizer: str, epochs: int, **rest: Any) -> Setting:
    params = {"file": file, "epochs": epochs, "batch_size": 32, "optimizer": optimizer}
    # A few dozen validation rows: more seeds, until the best rate is one and not chance.
    return Setting("tabular", params, seeds=5, **rest)


CHOSEN_ON = {
    "digits mlp, sgd": Setting("digits", {"epochs": 10}),
    "digits mlp, adam": Setting("digits", {"epochs": 10, "optimizer": "adam"}, 1e-4),
    "digits mlp, rmsprop": Setting("digits", {"epochs": 10, "optimizer": "rmsprop"}, 1e-4),
    "digits linear, sgd": Setting("digits", {"epochs": 15, "model": "linear"}),
    "digits cnn, sgd": Setting("digits", {"epochs": 5, "model": "cnn"}),
    "digits cnn, adamw": Setting("digits", {"epochs": 5, "model": "cnn", "optimizer": "adamw"}, 1e-4),
    "breast cancer, sgd": _tabular("breast_cancer", "sgd", 15),
    "breast cancer, adamw": _tabular("breast_cancer", "adamw", 15, low=1e-4),
    "wine, nesterov": _tabular("wine", "nesterov", 30),
    "wine, adam": _tabular("wine", "adam", 30, low=1e-4),
    "diabetes, sgd": _tabular("diabetes", "sgd", 20, low=1e-4),
    "diabetes, adam": _tabular("diabetes", "adam", 20, low=1e-4),
    "fashion-mnist mlp, sgd": Setting("images", {**FASHION, "epochs": 5}),
    "fashion-mnist mlp, adam": Setting("images", {**FASHION, "epochs": 5, "optimizer": "adam"}, 1e-4),
    "fashion-mnist linear-like mlp, adamw": Setting(
        "images", {**FASHION, "hidden": 8, "epochs": 5, "optimizer": "adamw", "batch_size": 128}, 1e-4
    ),
}
"""The rule was chosen with these in view."""
CHECKED_ON = {
    "digits mlp, nesterov": Setting("digits", {"epochs": 10, "optimizer": "nesterov"}),
    "digits linear, adam": Setting("digits", {"epochs": 15, "model": "linear", "optimizer": "adam"}, 1e-4),
    "digits cnn, rmsprop": Setting("digits", {"epochs": 5, "model": "cnn", "optimizer": "rmsprop"}, 1e-5),
    "breast cancer, nesterov": _tabular("breast_cancer", "nesterov", 15, low=1e-4),
    "wine, sgd": _tabular("wine", "sgd", 30),
    "diabetes, adamw": _tabular("diabetes", "adamw", 20, low=1e-5),
    "fashion-mnist mlp, rmsprop": Setting("images", {**FASHION, "epochs": 5, "optimizer": "rmsprop"}, 1e-5),
    "text, adamw": Setting("text", {**TEXT, "epochs": 3, "optimizer": "adamw"}, 1e-5),
}
"""And these were named, and their truth trained, after it had been: they chose nothing."""
SETTINGS = {**CHOSEN_ON, **CHECKED_ON}


class Place(NamedTuple):
    """Where a training lies in the bank. `shape` sweep: `rate` is 0."""

    setting: str
    shape: str
    rate: float
    seed: int


@dataclass(frozen=True)
class Recorded:
    """A training. `losses`, `rates` and `held_out` are a sweep's, by step; `value` is the validation loss that another
    ended with, None where it diverged.
    """

    setting: str
    shape: str
    rate: float
    seed: int
    value: float | None = None
    rates: tuple[float, ...] = ()
    losses: tuple[float | None, ...] = ()
    held_out: tuple[float | None, ...] = ()

    @property
    def place(self) -> Place:
        return Place(self.setting, self.shape, self.rate, self.seed)


def load(path: Path) -> list[Recorded]:
    if not path.exists():
        return []
    return [Recorded(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def fill(path: Path, data_dir: Path) -> None:
    done = {one.place for one in load(path)}
    with path.open("a", encoding="utf-8") as file:
        for place in places():
            if place not in done:
                file.write(json.dumps(asdict(_train(place, data_dir))) + "\n")
                file.flush()


def places() -> Iterator[Place]:
    """Everything, the most telling first."""
    yield from (Place(name, "sweep", 0.0, seed) for seed in SWEEP_SEEDS for name in SETTINGS)
    for seed in range(max(setting.seeds for setting in SETTINGS.values())):
        for name, setting in SETTINGS.items():
            if seed < setting.seeds:
                yield from (Place(name, shape, rate, seed) for rate in setting.rates for shape in SHAPES)


def _train(place: Place, data_dir: Path) -> Recorded:
    setting = SETTINGS[place.setting]
    task = build_task({"name": setting.task, "params": setting.params}, data_dir)
    cpu = torch.device("cpu")
    if place.shape == "sweep":
        run = Run(task, sweep_schedule(SWEEP_LOW, SWEEP_HIGH), place.seed, cpu, steps=STEPS, report_every=1)
        reports = _reports(run)
        rates, losses = tuple(one.lr for one in reports), tuple(one.train_loss for one in reports)
        held_out = tuple(one.metrics.get("val_loss") for one in reports)
        return Recorded(*place, rates=rates, losses=losses, held_out=held_out)
    last = _reports(Run(task, _schedule(place.shape, place.rate), place.seed, cpu))[-1]
    return Recorded(*place, value=last.metrics["val_loss"])


def _reports(run: Run) -> list[Report]:
    reports = []
    try:
        while not run.finished:
            if (report := run.advance()) is not None:
                reports.append(report)
    except DivergedError as error:
        reports.append(error.report)
    return reports


def _schedule(shape: str, rate: float) -> Schedule:
    return schedule_from_dict({"family": shape, "start_lr": rate, "end_lr": rate / (1000 if shape == "cosine" else 1)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    fill(given.bank, given.data_dir)


if __name__ == "__main__":
    main()

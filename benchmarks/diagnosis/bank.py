"""The bank: curves of real trainings on a grid of rates, kept in a file outside the repository."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lehr.schedules import schedule_from_dict
from workers.training.run import DivergedError, Run
from workers.training.solo import build_task

SEEDS = (0, 1)
SHAPES: dict[str, dict[str, Any]] = {
    "constant": {"family": "constant"},
    "cosine": {"family": "cosine"},
    "cosine, warm-up": {"family": "cosine", "warmup_fraction": 0.1},
    "one_cycle": {"family": "one_cycle"},
}
CLIMB = 25
"""A warm-up starts at this part of its peak, as one-cycle does by default (Smith and Topin, 2019)."""


@dataclass(frozen=True)
class Setting:
    """A task with the rates that it is trained with: half decades from `low` on."""

    task: str
    params: dict[str, Any]
    metric: str
    direction: str
    low: float
    count: int = 11

    @property
    def rates(self) -> list[float]:
        return [self.low * 10 ** (index / 2) for index in range(self.count)]


SETTINGS = {
    "digits mlp, sgd": Setting("digits", {"epochs": 12}, "val_accuracy", "maximize", 1e-4),
    "digits mlp, adam": Setting("digits", {"epochs": 12, "optimizer": "adam"}, "val_accuracy", "maximize", 1e-5),
    "digits linear, sgd": Setting("digits", {"epochs": 20, "model": "linear"}, "val_loss", "minimize", 1e-4),
    "digits cnn, sgd": Setting("digits", {"epochs": 8, "model": "cnn"}, "val_accuracy", "maximize", 1e-4),
    "breast cancer, adamw": Setting(
        "tabular", {"epochs": 15, "optimizer": "adamw", "batch_size": 32}, "val_score", "maximize", 1e-5
    ),
    "diabetes, sgd": Setting(
        "tabular", {"file": "diabetes", "epochs": 30, "batch_size": 32}, "val_loss", "minimize", 1e-5
    ),
    "fashion-mnist mlp, sgd": Setting(
        "images", {"epochs": 10, "train_limit": 4000, "validation_fraction": 0.05}, "val_accuracy", "maximize", 1e-4
    ),
    "fashion-mnist mlp, adam": Setting(
        "images",
        {"epochs": 10, "train_limit": 4000, "validation_fraction": 0.05, "optimizer": "adam"},
        "val_accuracy",
        "maximize",
        1e-5,
    ),
    "text, adamw": Setting(
        "text",
        {
            "epochs": 8, "train_limit": 60_000, "context": 32, "layers": 2, "heads": 2, "head_width": 16,
            "optimizer": "adamw",
        },
        "val_loss",
        "minimize",
        1e-5,
    ),
}  # fmt: skip


class Place(NamedTuple):
    """Where a training lies in the bank."""

    setting: str
    shape: str
    rate: float
    seed: int
    times: int = 1


@dataclass(frozen=True)
class Recorded:
    """One training: what was asked for, and what it reported. `times`: how many times the setting's epochs."""

    setting: str
    shape: str
    rate: float
    seed: int
    state: str
    horizon_steps: int
    schedule: dict[str, Any]
    reports: list[dict[str, Any]]
    times: int = 1


def load(path: Path) -> list[Recorded]:
    if not path.exists():
        return []
    return [Recorded(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def fill(path: Path, data_dir: Path) -> list[Recorded]:
    """The whole grid; what is missing in the file is trained, and added to it one training at a time."""
    return train_missing(path, data_dir, [place for name in SETTINGS for place in _grid(name)])


def train_missing(path: Path, data_dir: Path, places: Iterable[Place]) -> list[Recorded]:
    known = load(path)
    done = {place_of(one) for one in known}
    with path.open("a", encoding="utf-8") as file:
        for place in places:
            if place not in done:
                one = _train(place, data_dir)
                file.write(json.dumps(asdict(one)) + "\n")
                file.flush()
                known.append(one)
    return known


def place_of(one: Recorded) -> Place:
    return Place(one.setting, one.shape, one.rate, one.seed, one.times)


def _grid(name: str) -> Iterator[Place]:
    for shape in SHAPES:
        for rate in SETTINGS[name].rates:
            for seed in SEEDS:
                yield Place(name, shape, rate, seed)


def _train(place: Place, data_dir: Path) -> Recorded:
    setting = SETTINGS[place.setting]
    params = {**setting.params, "epochs": setting.params["epochs"] * place.times}
    document = _schedule(place.shape, place.rate)
    task = build_task({"name": setting.task, "params": params}, data_dir)
    run = Run(task, schedule_from_dict(document), place.seed, torch.device("cpu"))
    reports, state = [], "COMPLETED"
    try:
        while not run.finished:
            if (report := run.advance()) is not None:
                reports.append(report)
    except DivergedError as error:
        reports.append(error.report)
        state = "DIVERGED"
    dumped = [report.model_dump(mode="json") for report in reports]
    return Recorded(**place._asdict(), state=state, horizon_steps=run.horizon_steps, schedule=document, reports=dumped)


def _schedule(shape: str, rate: float) -> dict[str, Any]:
    document = {**SHAPES[shape], "start_lr": rate, "end_lr": rate / 1000}
    if shape == "constant":
        document["end_lr"] = rate
    if shape in ("cosine, warm-up", "one_cycle"):
        document |= {"start_lr": rate / CLIMB, "peak_lr": rate}
    return document

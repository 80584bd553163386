"""After kill -9 at twenty random steps, the attempts together report the uninterrupted curve, bit for bit."""

from __future__ import annotations

import json
import multiprocessing
import random
import signal
from pathlib import Path
from typing import Any, get_args

import pytest

from lehr.schedules import schedule_from_dict
from lehr.wire.leases import LeasedStudy, LeasedTrial
from tests.unit.workers.checkpoints.killed import attempt
from tests.unit.workers.tasks.image_files import drawn, write_idx
from tests.unit.workers.training.runs import run_of, train
from workers.tasks.params import OptimizerName
from workers.tasks.registry import TASKS

KILLS = 20
PRELOADED = [
    "tests.unit.workers.checkpoints.killed",
    "torch._dynamo",
    *(f"workers.tasks.{task}.task" for task in TASKS),
]
POEM = "Größe, cœur, 日本\nto be or not to be\n" * 40
COSINE = {"family": "cosine", "start_lr": 0.01, "end_lr": 0.001}
PLATEAU = {"family": "plateau", "start_lr": 0.05, "end_lr": 1e-4, "patience": 1}
OPTIMIZERS: tuple[OptimizerName, ...] = get_args(OptimizerName)
PICTURES = {"data": "fashion_mnist", "epochs": 4, "batch_size": 8, "flip": True, "crop": 2}
MODELS: dict[str, dict[str, Any]] = {
    "digits-mlp": {"model": "mlp", "epochs": 8, "batch_size": 128},
    "digits-cnn": {"model": "cnn", "hidden": 16, "epochs": 6, "batch_size": 128},
    "images-mlp": {**PICTURES, "model": "mlp", "hidden": 16},
    "images-cnn": {**PICTURES, "model": "cnn", "width": 4, "hidden": 16},
    "images-resnet": {**PICTURES, "model": "resnet", "width": 2},
    "tabular-mlp": {"file": "wine", "epochs": 12, "batch_size": 16, "dropout": 0.2},
    "text-gpt": {
        "file": "poem.txt",
        "context": 16,
        "layers": 1,
        "heads": 2,
        "head_width": 4,
        "dropout": 0.1,
        "epochs": 3,
        "batch_size": 8,
    },
}
Case = tuple[str, OptimizerName, dict[str, Any]]
ALWAYS: list[Case] = [
    ("images-resnet", "sgd", COSINE),
    ("digits-cnn", "nesterov", COSINE),
    ("tabular-mlp", "adam", COSINE),
    ("text-gpt", "adamw", COSINE),
    ("digits-mlp", "rmsprop", PLATEAU),
]
"""Each task and each optimizer at least once, and the schedule that has state."""
EVERY: list[Case] = [(model, optimizer, COSINE) for model in MODELS for optimizer in OPTIMIZERS]
"""Also run with `--every-kill`: each built-in model with each optimizer, which takes some minutes."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    cases = [*ALWAYS, *(EVERY if metafunc.config.getoption("--every-kill") else [])]
    if "optimizer" in metafunc.fixturenames:
        names = [f"{model}-{optimizer}-{schedule['family']}" for model, optimizer, schedule in cases]
        metafunc.parametrize(("model", "optimizer", "schedule"), cases, ids=names)


def leased(schedule: dict[str, Any]) -> LeasedTrial:
    keys = {"trial": "t", "number": 0, "attempt": 1, "purpose": "search", "seed": 5, "horizon_fraction": 1.0}
    return LeasedTrial.model_validate(keys | {"schedule": schedule, "checkpoint": None})


def test_the_cases_of_every_day_have_each_task_and_each_optimizer() -> None:
    assert {model.partition("-")[0] for model in MODELS} == set(TASKS)
    assert {model.partition("-")[0] for model, _, _ in ALWAYS} == set(TASKS)
    assert {optimizer for _, optimizer, _ in ALWAYS} == set(OPTIMIZERS)


def test_a_trial_killed_twenty_times_equals_one_that_never_was(
    model: str, optimizer: OptimizerName, schedule: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "poem.txt").write_text(POEM)
    write_idx(tmp_path / "fashion_mnist", drawn(90, (28, 28), 10), drawn(20, (28, 28), 10, seed=1), packed=False)
    task, params = model.partition("-")[0], {**MODELS[model], "optimizer": optimizer}
    whole = run_of(task, params, schedule_from_dict(schedule), data_dir=tmp_path, seed=5)
    expected = train(whole)
    kills = sorted(random.Random(model + optimizer).sample(range(1, whole.horizon_steps), KILLS))
    print("killed after steps", kills)
    study = LeasedStudy(
        study_id="s", task={"name": task, "params": params}, objective={"metric": "val_loss", "direction": "minimize"}
    )
    # A fork server that has imported everything, so that a new process for each attempt is cheap.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    endings = []
    for last_step in [*kills, whole.horizon_steps + 1]:
        process = context.Process(target=attempt, args=(study, leased(schedule), tmp_path, last_step))
        process.start()
        process.join(60)
        endings.append(process.exitcode)
        process.close()
    assert endings == [-signal.SIGKILL] * KILLS + [0]
    notes = [json.loads(line) for line in (tmp_path / "notes.jsonl").read_text().splitlines()]
    assert sum("saved" in note for note in notes) > KILLS / 2, "it went on from checkpoints"
    assert notes[-1] == {"state": "COMPLETED", "value": expected[-1].metrics["val_loss"], "error": None}
    told: dict[int, Any] = {}
    for report in (note["report"] for note in notes if "report" in note):
        # A step that was trained again gave exactly the same numbers.
        assert told.setdefault(report["step"], report) == report
    assert [told[step] for step in sorted(told)] == [report.model_dump() for report in expected]

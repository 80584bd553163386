"""A study of each built-in task through server and worker, with folds if the task supports them."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lehr.client import Client
from lehr.client.problems import RefusedByServerError
from tests.acceptance.light_worker import work
from tests.acceptance.machine import until
from tests.support.live import listening
from tests.support.shared_data import CIFAR_10, SHAKESPEARE, write_cifar10
from tests.unit.workers.tasks.image_files import drawn, write_cifar10_binary
from tests.unit.workers.training.runs import run_of, train
from workers.tasks.registry import TASKS

CIFAR = {"data": "cifar10", "model": "resnet", "width": 2, "batch_size": 32, "epochs": 2, "flip": True, "crop": 2}
STUDIES: dict[str, tuple[dict[str, Any], str]] = {
    "images": (CIFAR, "val_accuracy"),
    "text": (
        {"file": "text.txt", "train_limit": 20_000, "context": 32, "layers": 1, "heads": 2, "head_width": 8}
        | {"epochs": 1, "batch_size": 32, "optimizer": "adamw", "precision": "bf16"},
        "val_loss",
    ),
    "tabular": ({"file": "people.csv", "epochs": 3, "batch_size": 8, "hidden": 8, "dropout": 0.1}, "val_score"),
    "digits": ({"model": "cnn", "hidden": 8, "epochs": 1, "batch_size": 128}, "val_accuracy"),
}
FOLDS = 2


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real data sets where they are, small made ones elsewhere."""
    folder = tmp_path_factory.mktemp("data")
    if all(path.exists() for path in CIFAR_10.values()):
        write_cifar10(folder / "cifar10", train=500, test=100)
    else:
        write_cifar10_binary(folder / "cifar10", [drawn(100, (3, 32, 32), 10, seed=seed) for seed in range(6)])
    if SHAKESPEARE.exists():
        shutil.copy(SHAKESPEARE, folder / "text.txt")
    else:
        (folder / "text.txt").write_text("to be or not to be, that is the question\n" * 1000)
    rows = "\n".join(f"{row % 17},{'abc'[row % 3]},{'high' if row % 17 > 8 else 'low'}" for row in range(120))
    (folder / "people.csv").write_text(f"age,town,income\n{rows}\n")
    return folder


@pytest.fixture(scope="module")
def client(sqlite_template: Path, data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Of a server with one worker, which has said what it can train."""
    folder = tmp_path_factory.mktemp("server")
    database = shutil.copy(sqlite_template, folder / "lehr.sqlite")
    context = multiprocessing.get_context("forkserver")
    modules = [path.partition(":")[0] for path in TASKS.values()]
    context.set_forkserver_preload(["tests.acceptance.light_worker", "torch._dynamo", *modules])
    with listening(f"sqlite:///{database}") as url, Client(url) as opened:
        worker = context.Process(target=work, args=(url, "w", str(folder), 60.0, tuple(TASKS), data_dir))
        worker.start()
        until(lambda: len(list(opened.tasks())) == len(TASKS), "the worker has offered its tasks")
        yield opened
        worker.terminate()
        worker.join(30)


def spec(task: str, **objective: Any) -> dict[str, Any]:
    params, metric = STUDIES[task]
    direction = "minimize" if metric == "val_loss" else "maximize"
    return {
        "name": task,
        "task": {"name": task, "params": params},
        "space": {"families": ["constant", "cosine"], "start_lr": {"low": 0.01, "high": 0.1}},
        "objective": {"metric": metric, "direction": direction, **objective},
        "sampler": {"name": "random", "seed": 0},
        "budget": {"trials": 2},
        "confirm": None,
    }


def test_there_is_a_study_of_each_task() -> None:
    assert set(STUDIES) == set(TASKS)


@pytest.mark.parametrize("task", list(STUDIES))
def test_a_study_holds_what_training_alone_gives(task: str, client: Client, data_dir: Path) -> None:
    folds = {"folds": FOLDS} if task != "text" else {}
    study = client.wait(client.create_study(spec(task, **folds)).study_id, timeout=60)
    assert study.state == "COMPLETED", study.reason
    trials = list(client.trials(study.study_id))
    assert {trial.state for trial in trials} == {"COMPLETED"}, [trial.error for trial in trials]
    trained = [trial for trial in trials if trial.purpose == ("evaluation" if folds else "search")]
    assert len(trained) == 2 * (FOLDS if folds else 1)
    params, metric = STUDIES[task]
    for trial in trained[:FOLDS]:
        run = run_of(task, params, trial.schedule, data_dir=data_dir, seed=trial.seed, fold=trial.fold)
        assert trial.value == train(run)[-1].metrics[metric]
    assert {trial.fold and trial.fold.index for trial in trained} == (set(range(FOLDS)) if folds else {None})


def test_folds_of_a_task_that_has_none_are_refused_before_anything_is_queued(client: Client) -> None:
    with pytest.raises(RefusedByServerError, match=r"objective\.folds") as caught:
        client.create_study(spec("text", folds=3))
    assert caught.value.status == 422
    assert "text" in str(caught.value)

"""Folds: which rows are held out, and which are trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.model_selection import KFold, StratifiedKFold

from lehr.errors import InvalidValueError
from lehr.wire.trials import Fold
from tests.unit.workers.tasks.image_files import drawn, write_idx
from tests.unit.workers.training.runs import COSINE, train
from workers.tasks.registry import offers
from workers.tasks.task import TensorData
from workers.training.run import Run
from workers.training.solo import build_task

CPU = torch.device("cpu")


def data_of(name: str, fold: Fold, **params: Any) -> TensorData:
    return build_task({"name": name, "params": params}, fold=fold).data(CPU)


@pytest.mark.parametrize(("count", "seed"), [(2, 0), (5, 0), (5, 7), (10, 3)])
def test_digits_folds_hold_the_rows_of_scikit_learns_stratified_folds(count: int, seed: int) -> None:
    digits = load_digits()
    images = digits.images.reshape(-1, 64) / 16
    truth = StratifiedKFold(count, shuffle=True, random_state=seed).split(images, digits.target)
    for index, (train_rows, val_rows) in enumerate(truth):
        data = data_of("digits", Fold(index=index, count=count), split_seed=seed)
        deviation, mean = images[train_rows].std(ddof=1), images[train_rows].mean()
        for inputs, targets, rows in (
            (data.train_inputs, data.train_targets, train_rows),
            (data.val_inputs, data.val_targets, val_rows),
        ):
            assert targets.tolist() == digits.target[rows].tolist()
            assert np.allclose(inputs.flatten(1).numpy() * deviation + mean, images[rows], atol=1e-5)


@pytest.mark.parametrize(("name", "load"), [("wine", load_wine), ("breast_cancer", load_breast_cancer)])
def test_classes_of_a_table_are_in_the_folds_of_stratified_k_fold(name: str, load: Callable[[], Any]) -> None:
    table = load()
    truth = StratifiedKFold(4, shuffle=True, random_state=5).split(table.data, table.target)
    for index, (train_rows, val_rows) in enumerate(truth):
        data = data_of("tabular", Fold(index=index, count=4), file=name, split_seed=5)
        scaled = (table.data - table.data[train_rows].mean(0)) / table.data[train_rows].std(0)
        names = [sorted(table.target_names)[place] for place in data.val_targets.tolist()]
        assert names == table.target_names[table.target[val_rows]].tolist()
        assert np.allclose(data.val_inputs.numpy(), scaled[val_rows], atol=1e-4)
        assert data.train_size == len(train_rows)


def test_numbers_of_a_table_are_in_the_folds_of_k_fold() -> None:
    table = load_diabetes()
    for index, (train_rows, val_rows) in enumerate(KFold(5, shuffle=True, random_state=2).split(table.data)):
        data = data_of("tabular", Fold(index=index, count=5), file="diabetes", split_seed=2)
        known = table.target[train_rows]
        assert np.allclose(data.train_targets.numpy(), (known - known.mean()) / known.std(), atol=1e-5)
        assert np.allclose(data.val_targets.numpy(), (table.target[val_rows] - known.mean()) / known.std(), atol=1e-5)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_idx(folder / "mnist", drawn(95, (28, 28), 10), drawn(20, (28, 28), 10, seed=1), packed=False)
    return folder


@pytest.mark.parametrize("validate_on", ["held_out", "test"])
def test_folds_of_pictures_are_those_of_stratified_k_fold_on_the_training_images(
    validate_on: str, pictures: Path
) -> None:
    images, labels = drawn(95, (28, 28), 10)
    truth = StratifiedKFold(4, shuffle=True, random_state=3).split(images, labels)
    for index, (train_rows, val_rows) in enumerate(truth):
        params = {"data": "mnist", "split_seed": 3, "validate_on": validate_on}
        task = build_task({"name": "images", "params": params}, pictures, Fold(index=index, count=4))
        data = task.data(CPU)
        deviation, mean = images[train_rows].std(ddof=1), images[train_rows].mean()
        assert np.allclose(data.val_inputs[:, 0].numpy() * deviation + mean, images[val_rows], atol=1e-2)
        assert data.val_targets.tolist() == labels[val_rows].tolist()
        # The other images are trained on, each once, in an order drawn by split_seed.
        trained = np.rint(data.train_inputs[:, 0].numpy() * deviation + mean).astype(np.uint8)
        assert {image.tobytes() for image in trained} == {image.tobytes() for image in images[train_rows]}
        assert data.train_size == len(train_rows)


def test_a_limit_on_the_training_images_leaves_the_fold_whole(pictures: Path) -> None:
    sizes = []
    for limit in (10, 30, None):
        task = build_task(
            {"name": "images", "params": {"data": "mnist", "train_limit": limit}}, pictures, Fold(index=0, count=5)
        )
        data = task.data(CPU)
        sizes.append((data.train_size, len(data.val_targets)))
    assert sizes == [(10, 19), (30, 19), (76, 19)]


def test_a_class_with_fewer_pictures_than_folds_is_refused_by_name(pictures: Path) -> None:
    task = build_task({"name": "images", "params": {"data": "mnist"}}, pictures, Fold(index=0, count=20))
    with pytest.raises(InvalidValueError, match=r"objective\.folds: "):
        task.data(CPU)


def test_a_fold_trains_and_another_one_gives_another_value() -> None:
    values = []
    for index in range(2):
        task = build_task({"name": "digits", "params": {"epochs": 2}}, fold=Fold(index=index, count=3))
        values.append(train(Run(task, COSINE, 0, CPU))[-1].metrics["val_accuracy"])
    assert min(value or 0 for value in values) > 0.5
    assert values[0] != values[1]


def test_more_folds_than_a_class_has_examples_are_refused_by_name() -> None:
    with pytest.raises(InvalidValueError, match=r"objective\.folds"):
        data_of("tabular", Fold(index=0, count=500), file="wine")


def test_a_task_without_folds_refuses_them_rather_than_ignore_them() -> None:
    with pytest.raises(InvalidValueError, match="does not support folds"):
        build_task({"name": "text"}, fold=Fold(index=0, count=3))
    assert {offer.name: offer.folds for offer in offers(["digits", "images", "tabular", "text"])} == {
        "digits": True,
        "images": True,
        "tabular": True,
        "text": False,
    }

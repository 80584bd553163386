"""The task `digits` on scikit-learn's real data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from tests.unit.workers.training.runs import new_run, train
from workers.training.solo import build_task

CPU = torch.device("cpu")


def test_the_split_holds_every_image_of_scikit_learn_once() -> None:
    data = build_task({"name": "digits", "params": {"validation_fraction": 0.3}}).data(CPU)
    assert len(data.val_targets) == round(0.3 * 1797)
    assert data.train_size + len(data.val_targets) == 1797
    both = torch.cat([data.train_inputs, data.val_inputs]).flatten(1).numpy()
    truth = load_digits().images.reshape(1797, 64)
    unscaled = np.rint((both - both.min()) / (both.max() - both.min()) * 16)
    assert sorted(map(tuple, unscaled.astype(int))) == sorted(map(tuple, truth.astype(int)))


def test_training_images_are_centred_and_scaled() -> None:
    data = build_task({"name": "digits"}).data(CPU)
    assert data.train_inputs.mean().item() == pytest.approx(0, abs=1e-5)
    assert data.train_inputs.std().item() == pytest.approx(1, abs=1e-5)


def test_the_split_follows_its_own_seed() -> None:
    first, again, other = (
        build_task({"name": "digits", "params": {"split_seed": seed}}).data(CPU).val_targets for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("params", "least"),
    [
        ({"model": "linear"}, 0.92),
        ({"model": "mlp"}, 0.95),
        ({"model": "cnn", "epochs": 4}, 0.95),
        ({"model": "mlp", "optimizer": "nesterov", "clip_norm": 1.0, "activation": "gelu"}, 0.95),
    ],
)
def test_a_sane_rate_learns_the_digits(params: dict[str, Any], least: float) -> None:
    accuracy = train(new_run(params))[-1].metrics["val_accuracy"]
    assert accuracy is not None
    assert accuracy > least


def test_the_linear_model_is_as_good_as_scikit_learns_logistic_regression() -> None:
    run = new_run({"model": "linear", "epochs": 30, "optimizer": "sgd"})
    ours = train(run)[-1].metrics["val_accuracy"]
    data = build_task({"name": "digits"}).data(CPU)
    truth = LogisticRegression(max_iter=2000, C=10).fit(data.train_inputs.flatten(1), data.train_targets)
    theirs = truth.score(data.val_inputs.flatten(1), data.val_targets)
    assert ours == pytest.approx(theirs, abs=0.02)

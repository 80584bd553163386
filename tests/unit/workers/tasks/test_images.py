"""The task `images`, on small data sets in the public formats, and on the real ones if they are installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from jsonschema import Draft202012Validator

from lehr.datasets.catalogue import DEBIAN_FASHION_MNIST
from lehr.schedules import schedule_from_dict
from tests.support.shared_data import CIFAR_10, write_cifar10
from tests.unit.workers.tasks.image_files import drawn, write_cifar10_binary, write_idx
from tests.unit.workers.training.runs import assert_resumes, run_of, train
from workers.tasks.files import MissingDataError
from workers.tasks.images.augmentation import draw, padded, shown
from workers.tasks.images.params import ImagesParams, ModelName
from workers.tasks.params import InvalidParamsError, parse_params
from workers.tasks.registry import offers
from workers.training.solo import build_task

CPU = torch.device("cpu")
MODELS = get_args(ModelName)
SMALL = {"data": "mnist", "hidden": 8, "width": 2, "epochs": 2, "batch_size": 16}
RATE = {"sgd": 0.05, "adamw": 0.003, "rmsprop": 0.001}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_idx(folder / "mnist", drawn(80, (28, 28), 10), drawn(20, (28, 28), 10, seed=1), packed=True)
    write_cifar10_binary(folder / "cifar10", [drawn(20, (3, 32, 32), 10, seed=seed) for seed in range(6)])
    return folder


def cosine(optimizer: str) -> Any:
    return schedule_from_dict({"family": "cosine", "start_lr": RATE[optimizer], "end_lr": 1e-4})


@pytest.mark.parametrize("optimizer", list(RATE))
@pytest.mark.parametrize("model", MODELS)
def test_a_resumed_run_equals_an_uninterrupted_one_bitwise(
    model: str, optimizer: str, folder: Path, tmp_path: Path
) -> None:
    params = {**SMALL, "model": model, "optimizer": optimizer, "flip": True, "crop": 2, "clip_norm": 1.0}
    assert_resumes(lambda: run_of("images", params, cosine(optimizer), data_dir=folder), tmp_path)


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_gives_the_same_curve_and_another_another(model: str, folder: Path) -> None:
    params = {**SMALL, "data": "cifar10", "model": model, "flip": True, "crop": 4}
    first, again, other = (train(run_of("images", params, data_dir=folder, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("model", MODELS)
def test_every_model_learns_what_is_plain_to_see(model: str, folder: Path) -> None:
    params = {**SMALL, "model": model, "epochs": 20, "width": 4, "optimizer": "adamw", "batch_size": 8, "hidden": 32}
    accuracy = train(run_of("images", params, cosine("adamw"), data_dir=folder))[-1].metrics["val_accuracy"]
    assert accuracy is not None
    assert accuracy >= 0.75


def test_validation_holds_out_training_images_unless_the_test_images_are_asked_for(folder: Path) -> None:
    held_out, test, limited = (
        build_task({"name": "images", "params": {"data": "mnist", **params}}, folder).data(CPU)
        for params in ({"validation_fraction": 0.25}, {"validate_on": "test"}, {"train_limit": 7})
    )
    assert (held_out.train_size, len(held_out.val_targets)) == (60, 20)
    assert (test.train_size, len(test.val_targets)) == (80, 20)
    assert (limited.train_size, len(limited.val_targets)) == (7, 8)


def test_each_channel_is_centred_and_scaled(folder: Path) -> None:
    data = build_task({"name": "images", "params": {"data": "cifar10"}}, folder).data(CPU)
    deviation, mean = torch.std_mean(data.train_inputs, dim=(0, 2, 3))
    assert mean.tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert deviation.tolist() == pytest.approx([1, 1, 1], abs=1e-5)


def test_trials_of_one_study_share_the_data_until_a_file_changes(folder: Path) -> None:
    task = build_task({"name": "images", "params": {"data": "mnist"}}, folder)
    first = task.data(CPU)
    assert task.data(CPU) is first
    path = folder / "mnist" / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes() + b"")
    assert task.data(CPU) is not first


def test_a_cut_is_the_slice_and_the_mirror_that_numpy_gives() -> None:
    images = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    draws = draw(6, 3, 0, flip=True, crop=2)
    cut = shown(padded(images, 2), draws, 8)
    assert cut.shape == images.shape
    for image, (mirrored, row, column), ours in zip(images.numpy(), draws.tolist(), cut.numpy(), strict=True):
        wide = np.pad(image, ((0, 0), (2, 2), (2, 2)), mode="reflect")
        truth = wide[:, row : row + 8, column : column + 8]
        assert np.array_equal(ours, truth[:, :, ::-1] if mirrored else truth)


def test_flips_alternate_and_cuts_cover_every_shift() -> None:
    draws = [draw(2000, 1, epoch, flip=True, crop=2) for epoch in range(3)]
    assert torch.equal(draws[0][:, 0], 1 - draws[1][:, 0])
    assert torch.equal(draws[0][:, 0], draws[2][:, 0])
    assert 0.45 < draws[0][:, 0].double().mean() < 0.55
    assert len(draws[0][:, 1:].unique(dim=0)) == 25
    assert not torch.equal(draws[0][:, 1:], draws[1][:, 1:])


def test_convolutions_lie_channels_last(folder: Path) -> None:
    run = run_of("images", {**SMALL, "data": "cifar10", "model": "resnet"}, data_dir=folder)
    weights = [weight for weight in run.model.parameters() if weight.ndim == 4]
    assert len(weights) == 7
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


@pytest.mark.parametrize(
    ("field", "value"),
    [("data", "imagenet"), ("model", "vit"), ("flip", 1), ("crop", 9), ("train_limit", 0), ("precision", "fp8")],
)
def test_a_bad_parameter_is_refused_by_the_worker_and_by_the_schema(field: str, value: Any) -> None:
    with pytest.raises(InvalidParamsError, match=rf"task\.params\.{field}: "):
        parse_params(ImagesParams, {field: value})
    (offer,) = offers(["images"])
    assert not Draft202012Validator(offer.params_schema or {}).is_valid({field: value})


def test_missing_data_is_told_before_a_model_is_built(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="cifar-100-python"):
        run_of("images", {"data": "cifar100"}, data_dir=tmp_path)


@pytest.mark.skipif(not DEBIAN_FASHION_MNIST.exists(), reason="Debian's Fashion-MNIST is not here")
def test_an_mlp_learns_fashion_mnist(tmp_path: Path) -> None:
    params = {"model": "mlp", "epochs": 1, "train_limit": 20_000, "validate_on": "test"}
    accuracy = train(run_of("images", params, cosine("sgd"), data_dir=tmp_path))[-1].metrics["val_accuracy"]
    assert accuracy is not None
    assert accuracy > 0.8


@pytest.mark.skipif(not CIFAR_10["train"].exists(), reason="the packed CIFAR-10 is not here")
def test_a_resnet_learns_cifar_10_from_repacked_jpegs(tmp_path: Path) -> None:
    pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    write_cifar10(tmp_path / "cifar10", train=3000, test=600)
    params = {"data": "cifar10", "model": "resnet", "width": 4, "epochs": 3, "optimizer": "adamw"}
    accuracy = train(run_of("images", params, cosine("adamw"), data_dir=tmp_path))[-1].metrics["val_accuracy"]
    assert accuracy is not None
    assert accuracy > 0.2

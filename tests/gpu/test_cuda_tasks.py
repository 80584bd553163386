"""Tasks on real formats, on CUDA: one curve per seed, in every precision. Skipped without CUDA."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from tests.unit.workers.tasks.image_files import drawn, write_cifar10_binary
from tests.unit.workers.training.runs import assert_resumes, run_of, train
from workers.settings import prepare_environment
from workers.tasks.params import PrecisionName
from workers.training.device import configure_torch

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

IMAGES = {"data": "cifar10", "epochs": 2, "batch_size": 16, "width": 4, "hidden": 16, "flip": True, "crop": 2}
TEXT = {"file": "text.txt", "context": 32, "layers": 2, "heads": 2, "epochs": 2, "batch_size": 8, "dropout": 0.1}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("images", {**IMAGES, "model": "mlp"}),
    ("images", {**IMAGES, "model": "cnn"}),
    ("images", {**IMAGES, "model": "resnet"}),
    ("text", TEXT),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_cifar10_binary(folder / "cifar10", [drawn(20, (3, 32, 32), 10, seed=seed) for seed in range(6)])
    (folder / "text.txt").write_text("to be or not to be, that is the question\n" * 100)
    return folder


@pytest.fixture(autouse=True)
def _deterministic() -> Any:
    prepare_environment()
    configure_torch(torch.device("cuda", 0), threads=1)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("precision", get_args(PrecisionName))
@pytest.mark.parametrize(("task", "params"), CASES)
def test_the_same_seed_gives_the_same_curve_twice(
    task: str, params: dict[str, Any], precision: str, folder: Path
) -> None:
    params = {**params, "precision": precision}
    first, again = (train(run_of(task, params, data_dir=folder, device="cuda:0")) for _ in range(2))
    assert first == again


@pytest.mark.parametrize(("task", "params"), CASES)
def test_a_resumed_run_equals_an_uninterrupted_one(
    task: str, params: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    assert_resumes(lambda: run_of(task, params, data_dir=folder, device="cuda:0"), tmp_path)


def test_mixed_precision_computes_the_same_function_more_coarsely(folder: Path) -> None:
    coarse, fine = (
        run_of("images", {**IMAGES, "model": "resnet", "precision": precision}, data_dir=folder, device="cuda:0")
        for precision in ("bf16", "fp32")
    )
    inputs = fine._data.val_inputs
    with torch.no_grad():
        ours, truth = coarse.model(inputs), fine.model(inputs)
    assert ours.dtype == torch.float32
    assert torch.allclose(ours, truth, atol=0.1)
    assert not torch.equal(ours, truth)

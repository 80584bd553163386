"""Precisions: the same model computed in another number format, or a clear error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from lehr.errors import InvalidValueError
from tests.unit.workers.tasks.image_files import drawn, write_cifar10_binary
from tests.unit.workers.training.runs import assert_resumes, run_of
from workers.tasks.params import PrecisionName
from workers.tasks.precision import DEVICES, use_precision, with_precision

CUDNN: Any = torch.backends.cudnn
MIXED: tuple[PrecisionName, ...] = ("bf16", "fp16")
IMAGES = {"data": "cifar10", "hidden": 8, "width": 4, "epochs": 1, "batch_size": 25}
TASKS: list[tuple[str, dict[str, Any]]] = [
    ("images", {**IMAGES, "model": "mlp"}),
    ("images", {**IMAGES, "model": "cnn"}),
    ("images", {**IMAGES, "model": "resnet", "flip": True}),
    ("text", {"file": "poem.txt", "context": 16, "layers": 1, "heads": 2, "epochs": 1, "batch_size": 16}),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_cifar10_binary(folder / "cifar10", [drawn(20, (3, 32, 32), 10, seed=seed) for seed in range(6)])
    (folder / "poem.txt").write_text("to be or not to be\n" * 60)
    return folder


@pytest.fixture
def _modes_restored() -> Iterator[None]:
    kinds = (torch.backends.cuda.matmul, CUDNN.conv)
    before = [kind.fp32_precision for kind in kinds]
    yield
    for kind, mode in zip(kinds, before, strict=True):
        kind.fp32_precision = mode


@pytest.mark.parametrize("precision", MIXED)
@pytest.mark.parametrize(("task", "params"), TASKS)
def test_a_mixed_model_is_the_same_function_more_coarsely(
    task: str, params: dict[str, Any], precision: str, folder: Path
) -> None:
    coarse, fine = (run_of(task, {**params, "precision": each}, data_dir=folder) for each in (precision, "fp32"))
    inputs = fine._data.val_inputs
    with torch.no_grad():
        ours, truth = coarse.model.eval()(inputs), fine.model.eval()(inputs)
    assert ours.dtype == torch.float32
    assert torch.allclose(ours, truth, atol=0.05)
    assert not torch.equal(ours, truth)
    assert {weight.dtype for weight in coarse.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("precision", MIXED)
@pytest.mark.parametrize(("task", "params"), TASKS)
def test_a_resumed_mixed_run_equals_an_uninterrupted_one_bitwise(
    task: str, params: dict[str, Any], precision: str, folder: Path, tmp_path: Path
) -> None:
    params = {**params, "precision": precision}
    assert_resumes(lambda: run_of(task, params, data_dir=folder), tmp_path, interruptions=1)


@pytest.mark.parametrize("precision", MIXED)
def test_gradients_too_small_for_float16_arrive(precision: PrecisionName) -> None:
    model = _small()
    truth, ours = (_gradients(each, size=3e-7) for each in (model, with_precision(model, precision)))
    for one, other in zip(truth, ours, strict=True):
        assert torch.allclose(one, other, rtol=0.05, atol=0.02 * float(one.abs().max()))
    assert all(float(gradient.abs().max()) > 0 for gradient in ours)


@pytest.mark.parametrize("precision", MIXED)
def test_a_mixed_model_is_trained_by_torch_func_as_by_itself(precision: PrecisionName) -> None:
    models = [with_precision(_small(seed), precision) for seed in range(3)]
    weights, buffers = stack_module_state(models)
    inputs = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))

    def loss(weights: Any, buffers: Any) -> Any:
        return functional_call(models[0], (weights, buffers), (inputs,)).square().mean()

    fused = vmap(grad(loss))(weights, buffers)
    for index, model in enumerate(models):
        model.zero_grad()
        model(inputs).square().mean().backward()
        for name, weight in model.named_parameters():
            assert torch.allclose(fused[name][index], weight.grad, rtol=0.02, atol=1e-3)


def test_every_precision_but_tf32_trains_on_the_cpu_and_none_but_fp32_on_mps() -> None:
    assert set(DEVICES) == set(get_args(PrecisionName))
    for precision in get_args(PrecisionName):
        for device, able in (("cpu", precision != "tf32"), ("mps", precision == "fp32")):
            if able:
                use_precision(precision, torch.device(device))
            else:
                with pytest.raises(InvalidValueError, match=rf"task\.params\.precision: .*got '{precision}'"):
                    use_precision(precision, torch.device(device))


def test_a_run_is_refused_before_it_trains_where_the_device_lacks_its_precision(folder: Path) -> None:
    with pytest.raises(InvalidValueError, match=r"does not support tf32 \(allowed: one of fp32, bf16, fp16 on cpu"):
        run_of("images", {**IMAGES, "precision": "tf32"}, data_dir=folder)


@pytest.mark.usefixtures("_modes_restored")
@pytest.mark.parametrize(("precision", "mode"), [("tf32", "tf32"), ("fp32", "ieee"), ("bf16", "ieee")])
def test_only_tf32_lets_cuda_round_float32(precision: PrecisionName, mode: str) -> None:
    for before in ("tf32", "ieee"):
        torch.backends.cuda.matmul.fp32_precision = CUDNN.conv.fp32_precision = before
        use_precision(precision, torch.device("cuda", 0))
        assert torch.backends.cuda.matmul.fp32_precision == mode
        assert CUDNN.conv.fp32_precision == mode


def _small(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def _gradients(model: nn.Module, size: float) -> list[torch.Tensor]:
    model.zero_grad()
    inputs = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    (model(inputs).square().sum() * size).backward()
    return [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]

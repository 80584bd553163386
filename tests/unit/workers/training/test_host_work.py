"""Within an epoch, steps copy nothing between the device and the host: the data stays on the device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.unit.workers.tasks.image_files import drawn, write_idx
from tests.unit.workers.training.runs import run_of

PICTURES = {"data": "mnist", "batch_size": 8, "epochs": 2, "hidden": 8, "width": 2, "flip": True, "crop": 2}
WORDS = {"file": "text.txt", "context": 8, "layers": 1, "heads": 2, "head_width": 4, "batch_size": 8, "epochs": 2}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("digits", {"model": "mlp", "epochs": 2}),
    ("images", {**PICTURES, "model": "mlp"}),
    ("images", {**PICTURES, "model": "resnet"}),
    ("tabular", {"file": "wine", "epochs": 2, "batch_size": 16, "dropout": 0.1}),
    ("text", {**WORDS, "dropout": 0.1}),
]


class Watched(TorchDispatchMode):
    """Records the operations that copy to another device, or read a value on the host."""

    def __init__(self) -> None:
        super().__init__()
        self.moves: list[str] = []
        self.reads = 0
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        self.count += 1
        name = function.overloadpacket._qualified_op_name
        if name == "aten::_local_scalar_dense":
            self.reads += 1
        if name == "aten::_to_copy" and (options or {}).get("device") is not None:
            self.moves.append(name)
        return function(*arguments, **(options or {}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_idx(folder / "mnist", drawn(80, (28, 28), 10), drawn(20, (28, 28), 10, seed=1), packed=False)
    (folder / "text.txt").write_text("to be or not to be, that is the question\n" * 30)
    return folder


@pytest.mark.parametrize(("task", "params"), CASES)
def test_a_step_within_an_epoch_moves_nothing_and_reads_only_whether_the_loss_is_finite(
    task: str, params: dict[str, Any], folder: Path
) -> None:
    run = run_of(task, {**params, "clip_norm": 1.0}, data_dir=folder)
    data = run._data
    run.advance()
    with Watched() as watched:
        assert run.advance() is None
    assert watched.count > 20
    assert watched.moves == []
    # The CPU checks the loss at each step. A GPU checks it at the end of an epoch, since a check waits for the device.
    assert watched.reads == 1
    assert run._data is data
    assert run._order.device == data.train_inputs.device


def test_off_the_cpu_the_loss_is_not_looked_at_within_an_epoch(folder: Path) -> None:
    run = run_of("digits", {"model": "mlp", "epochs": 2}, data_dir=folder)
    run.advance()
    run._device = torch.device("cuda", 0)
    with Watched() as watched:
        assert run.advance() is None
    assert watched.reads == 0

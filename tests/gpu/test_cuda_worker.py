"""A worker's training process on CUDA: memory shares, named errors, no synchronising steps. Skipped without CUDA."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lehr.wire.leases import LeasedStudy
from tests.gpu.test_cuda_tasks import CASES
from tests.unit.workers.child.test_child import Recorder, trial
from tests.unit.workers.tasks.image_files import drawn, write_cifar10_binary
from tests.unit.workers.training.runs import run_of
from workers.child.child_trainer import ChildTrainer
from workers.child.session import Limits
from workers.monitor.trial_progress import Usage
from workers.settings import WorkerSettings, prepare_environment
from workers.trainer import Finished

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_cifar10_binary(folder / "cifar10", [drawn(40, (3, 32, 32), 10, seed=seed) for seed in range(6)])
    (folder / "text.txt").write_text("to be or not to be, that is the question\n" * 100)
    return folder


def trainer_of(folder: Path, measured: Any = None, **settings: Any) -> ChildTrainer:
    places = {"checkpoints": str(folder / "checkpoints"), "data_dir": folder, "calibration": folder / "calibration"}
    return ChildTrainer(WorkerSettings(device="cuda:0", **places, **settings), Limits(120.0), measured)


@pytest.fixture
def _waits_are_allowed_again() -> Iterator[None]:
    prepare_environment()
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.usefixtures("_waits_are_allowed_again")
@pytest.mark.parametrize(("task", "params"), CASES)
def test_a_step_within_an_epoch_never_waits_for_the_device(task: str, params: dict[str, Any], folder: Path) -> None:
    run = run_of(task, params, data_dir=folder, device="cuda:0")
    run.advance()
    torch.cuda.set_sync_debug_mode("error")
    assert run.advance() is None


def images(**params: Any) -> LeasedStudy:
    task = {"name": "images", "params": {"data": "cifar10", "model": "resnet", "width": 8, "epochs": 2, **params}}
    return LeasedStudy(study_id="s", task=task, objective={"metric": "val_loss"})


def test_a_model_beyond_the_workers_share_fails_by_name_and_the_next_trial_is_trained(folder: Path) -> None:
    trainer = trainer_of(folder, gpu_memory_share=0.01)
    try:
        large, small = Recorder(), Recorder()
        trainer.train(images(width=512, batch_size=200), [trial()], large)
        trainer.train(images(), [trial()], small)
    finally:
        trainer.close()
    assert "OutOfMemoryError" in large.error("t")
    assert isinstance(small.outcomes["t"], Finished)
    assert small.outcomes["t"].state == "COMPLETED"


def test_two_workers_on_one_gpu_report_the_same_curve_and_their_memory(folder: Path) -> None:
    seen: list[Usage] = []
    first, second = (trainer_of(folder, seen.append, gpu_memory_share=0.4) for _ in range(2))
    try:
        one, other = Recorder(), Recorder()
        first.train(images(), [trial()], one)
        second.train(images(), [trial()], other)
    finally:
        first.close()
        second.close()
    assert one.reports["t"] == other.reports["t"]
    assert max(usage.memory_bytes or 0 for usage in seen) > 0

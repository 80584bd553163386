"""Training on CUDA: one curve per seed, equal to the CPU's within float tolerance. Skipped without CUDA."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch

from lehr.schedules import schedule_from_dict
from tests.unit.workers.training.runs import new_run, train
from workers.settings import prepare_environment
from workers.tasks.digits.params import ModelName
from workers.training.device import configure_torch, describe, resolve_device
from workers.training.run import DivergedError

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

SMALL = {"epochs": 3, "batch_size": 128}


@pytest.fixture(autouse=True)
def _deterministic() -> Any:
    prepare_environment()
    configure_torch(torch.device("cuda", 0), threads=1)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("model", get_args(ModelName))
def test_the_same_seed_gives_the_same_curve_twice(model: str) -> None:
    params = {**SMALL, "model": model}
    assert train(new_run(params, device="cuda:0")) == train(new_run(params, device="cuda:0"))


@pytest.mark.parametrize("model", get_args(ModelName))
def test_the_curve_is_the_cpus_within_tolerance(model: str) -> None:
    params = {**SMALL, "model": model}
    for there, here in zip(train(new_run(params, device="cuda:0")), train(new_run(params)), strict=True):
        assert there.train_loss == pytest.approx(here.train_loss, rel=0.02)
        assert there.metrics["val_loss"] == pytest.approx(here.metrics["val_loss"], rel=0.05)


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Any) -> None:
    params = {**SMALL, "model": "cnn", "optimizer": "adam"}
    schedule = schedule_from_dict({"family": "cosine", "start_lr": 0.01, "end_lr": 1e-4})
    expected = train(new_run(params, schedule, device="cuda:0"))
    first = new_run(params, schedule, device="cuda:0")
    before = train(first, until=17)
    torch.save(first.state(), tmp_path / "state.pt")
    resumed = new_run(params, schedule, device="cuda:0")
    resumed.restore(torch.load(tmp_path / "state.pt", map_location="cpu", weights_only=True))
    assert before + train(resumed) == expected


def test_divergence_is_noticed_at_the_epochs_end_but_dated_to_its_step() -> None:
    huge = schedule_from_dict({"family": "constant", "start_lr": 1e30, "end_lr": 1e30})
    with pytest.raises(DivergedError) as there:
        train(new_run({"epochs": 5}, huge, device="cuda:0"))
    with pytest.raises(DivergedError) as here:
        train(new_run({"epochs": 5}, huge))
    assert there.value.report.step == here.value.report.step


def test_auto_means_cuda_and_names_it() -> None:
    assert resolve_device("auto") == torch.device("cuda", 0)
    assert describe(torch.device("cuda", 0)).startswith("cuda:0 ")

"""A cohort's step is a fixed sequence of operations on fixed memory, so it can be recorded once and replayed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from tests.unit.workers.cohort.cohorts import a_task, new_cohort, trials
from tests.unit.workers.tasks.image_files import drawn, write_idx
from tests.unit.workers.training.tapes import DATA_DEPENDENT, HOST_READS, HOST_WRITES, Ops
from workers.cohort.cohort import Cohort
from workers.tasks.params import OptimizerName

PICTURES = {"data": "mnist", "batch_size": 32, "hidden": 8, "width": 2, "flip": True, "crop": 2}
WORDS = {"file": "text.txt", "context": 8, "layers": 1, "heads": 2, "head_width": 4, "batch_size": 8}
CASES: list[tuple[str, dict[str, Any]]] = [
    *(("digits", {"optimizer": name, "weight_decay": 1e-3, "hidden": 8}) for name in get_args(OptimizerName)),
    ("digits", {"model": "cnn", "clip_norm": 1.0, "hidden": 8}),
    ("images", {**PICTURES, "model": "mlp"}),
    ("images", {**PICTURES, "model": "resnet"}),
    ("images", {**PICTURES, "model": "cnn", "precision": "bf16"}),
    ("tabular", {"file": "wine", "batch_size": 16, "dropout": 0.1, "model": "resnet"}),
    ("text", {**WORDS, "dropout": 0.1}),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_idx(folder / "mnist", drawn(150, (28, 28), 10), drawn(20, (28, 28), 10, seed=1), packed=False)
    (folder / "text.txt").write_text("to be or not to be, that is the question\n" * 30)
    return folder


def addresses(cohort: Cohort) -> list[int]:
    assert cohort._stack is not None
    assert cohort._epoch is not None
    return [tensor.data_ptr() for tensor in (*cohort._stack.tensors(), *cohort._epoch.tensors())]


def steps(cohort: Cohort, count: int) -> Iterator[Ops]:
    """The device operations of steps of an epoch, without its last step."""
    assert cohort.steps_left > count
    for _ in range(count):
        stack, epoch = cohort._stack, cohort._current_epoch()
        assert stack is not None
        with Ops() as ops:
            cohort._step.do(stack, epoch, [member.noise for member in cohort.members], last=False)
        yield ops


@pytest.mark.parametrize(("task", "params"), CASES)
def test_a_step_reads_nothing_on_the_host_and_is_the_same_operations_every_time(
    task: str, params: dict[str, Any], folder: Path
) -> None:
    cohort = new_cohort(a_task(task, {**params, "epochs": 2}, folder), trials(0.01))
    cohort.advance()
    first, second, third = steps(cohort, 3)
    assert len(first.recorded) > 20
    assert first.names.isdisjoint(HOST_READS | HOST_WRITES | DATA_DEPENDENT)
    # Shapes, strides and all numbers that the host passes.
    assert first.recorded == second.recorded == third.recorded


@pytest.mark.parametrize(("task", "params"), CASES)
def test_numbers_stay_where_they_are_from_step_to_step_and_from_epoch_to_epoch(
    task: str, params: dict[str, Any], folder: Path
) -> None:
    cohort = new_cohort(a_task(task, {**params, "epochs": 4}, folder), trials(0.01))
    cohort.advance()
    before = addresses(cohort)
    for _ in range(cohort.steps_left + 2):
        cohort.advance()
        assert addresses(cohort) == before
    assert cohort.members[0].step > cohort.steps_left


def test_the_rates_of_a_step_come_from_the_device_alone() -> None:
    # Another row of the table gives another rate, without any number from the host.
    cohort = new_cohort(a_task("digits", {"hidden": 8, "momentum": 0.0, "epochs": 1}), trials(0.1)[:1])
    cohort.advance()
    stack, epoch = cohort._stack, cohort._epoch
    assert stack is not None
    assert epoch is not None
    epoch.coefficients.zero_()
    weights = stack.weights.clone()
    cohort.advance()
    assert torch.equal(stack.weights, weights)
    epoch.coefficients[2, 0] = -0.5
    cohort.advance()
    assert not torch.equal(stack.weights, weights)

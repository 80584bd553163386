"""Steps replayed as CUDA graphs train like steps run from Python. Skipped without CUDA.

The same is tested on a CPU in tests/unit/workers/cohort/test_replay.py, with a stand-in for the graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from lehr.schedules import schedule_from_dict
from tests.gpu.test_cuda_tasks import CASES
from tests.unit.workers.cohort.cohorts import Trial, a_task, alone, distance, finish, new_cohort, trials
from tests.unit.workers.cohort.test_cohort import RATE
from tests.unit.workers.tasks.image_files import drawn, write_cifar10_binary
from workers.cohort.capture import CudaRecorder, CudaRecording, recorder_of
from workers.cohort.cohort import Cohort
from workers.cohort.probe import probe
from workers.cohort.replay import Memory, Replayer, Step
from workers.settings import prepare_environment
from workers.tasks.params import OptimizerName
from workers.training.device import configure_torch

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

CUDA = torch.device("cuda", 0)
DROPS = {"epochs": 4, "batch_size": 40, "hidden": 16, "dropout": 0.3, "clip_norm": 1.0}
TOLERANCE = 1e-5
"""Deterministic kernels: a replay launches those that Python did."""
AS_ALONE = 1e-3
"""A batched product sums in another order than one of its own, and some dozens of steps let it grow."""


class Counting(CudaRecorder):
    """Counts what is recorded and replayed."""

    def __init__(self) -> None:
        super().__init__(CUDA)
        self.recorded = 0

    def record(self, step: Step, generators: Sequence[torch.Generator]) -> CudaRecording:
        self.recorded += 1
        return super().record(step, generators)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_cifar10_binary(folder / "cifar10", [drawn(60, (3, 32, 32), 10, seed=seed) for seed in range(6)])
    (folder / "text.txt").write_text("to be or not to be, that is the question\n" * 100)
    return folder


@pytest.fixture(autouse=True)
def _deterministic() -> Any:
    prepare_environment()
    configure_torch(CUDA, threads=1)
    yield
    torch.use_deterministic_algorithms(False)
    torch.cuda.set_sync_debug_mode("default")


def assert_replayed_as_from_python(
    task: Any, members: Sequence[Trial], after_step: Callable[[Cohort], object] = lambda cohort: None
) -> Counting:
    recorder = Counting()
    cohort = new_cohort(task, members, device=CUDA, recorder=recorder)
    replayed = finish(cohort, after_step)
    assert cohort.not_replayed == ""
    assert recorder.recorded
    expected = finish(new_cohort(task, members, device=CUDA), after_step)
    assert [distance(a, b) < TOLERANCE for a, b in zip(expected, replayed, strict=True)] == [True] * len(members)
    return recorder


@pytest.mark.parametrize("optimizer", get_args(OptimizerName))
def test_every_optimizer_with_dropout_clipping_and_a_smaller_last_batch(optimizer: str) -> None:
    params = {**DROPS, "optimizer": optimizer, "weight_decay": 1e-3}
    recorder = assert_replayed_as_from_python(a_task("tabular", params), trials(RATE[optimizer]))
    assert recorder.recorded >= 2


@pytest.mark.parametrize(("task", "params"), CASES)
def test_every_kind_of_model(task: str, params: dict[str, Any], folder: Path) -> None:
    assert_replayed_as_from_python(a_task(task, {**params, "epochs": 3}, folder), trials(0.01)[:2])


@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp16"])
def test_every_precision(precision: str, folder: Path) -> None:
    params = {"data": "cifar10", "model": "cnn", "width": 4, "hidden": 16, "epochs": 3, "batch_size": 16}
    assert_replayed_as_from_python(a_task("images", {**params, "precision": precision}, folder), trials(0.01)[:2])


@pytest.mark.parametrize("optimizer", get_args(OptimizerName))
def test_one_trial_as_a_cohort_of_one_is_the_trial_alone(optimizer: str) -> None:
    task = a_task("tabular", {**DROPS, "optimizer": optimizer})
    trial = trials(RATE[optimizer])[1]
    (curve,) = finish(new_cohort(task, [trial], device=CUDA, recorder=CudaRecorder(CUDA)))
    assert distance(alone(task, trial, CUDA), curve) < AS_ALONE


def test_members_that_diverge_leave_and_join_make_graphs_anew_and_disturb_nobody() -> None:
    task = a_task("digits", {"epochs": 6, "batch_size": 100, "hidden": 16})
    huge = Trial(schedule_from_dict({"family": "constant", "start_lr": 1e30, "end_lr": 1e30}), seed=9)
    (late,) = trials(0.1)[2:]

    def change(cohort: Cohort) -> None:
        if cohort.members and cohort.position == 0 and cohort.members[0].step == 30:
            (member,) = new_cohort(task, [late], device=CUDA).members
            member.name = "late"
            cohort.join([member], [None])

    members = [*trials(0.1)[:2], huge]
    recorder = Counting()
    replayed = finish(new_cohort(task, members, device=CUDA, recorder=recorder), change)
    expected = finish(new_cohort(task, members, device=CUDA), change)
    assert [distance(a, b) < TOLERANCE for a, b in zip(expected, replayed, strict=True)] == [True] * 4
    assert replayed[2][-1].train_loss is None
    assert recorder.recorded >= 3


def test_a_cohort_saved_between_replays_goes_on_where_it_was() -> None:
    task = a_task("tabular", DROPS)
    members = trials(0.05)[:2]
    expected = finish(new_cohort(task, members, device=CUDA))
    cohort = new_cohort(task, members, device=CUDA, recorder=CudaRecorder(CUDA))
    curves: list[Any] = [[] for _ in members]
    for _ in range(17):
        for member, told in cohort.advance():
            curves[int(member.name)].append(told)
    states = [cohort.state(member) for member in cohort.members]
    rest = finish(new_cohort(task, members, states, device=CUDA, recorder=CudaRecorder(CUDA)))
    for whole, begun, more in zip(expected, curves, rest, strict=True):
        assert distance(whole, begun + more) < TOLERANCE


def test_a_replayed_step_waits_for_nothing() -> None:
    cohort = new_cohort(
        a_task("digits", {"epochs": 2, "hidden": 16}), trials(0.1)[:2], device=CUDA, recorder=CudaRecorder(CUDA)
    )
    while not cohort.is_settled:
        cohort.advance()
    torch.cuda.set_sync_debug_mode("error")
    assert cohort.advance() == []


def test_a_step_that_waits_for_the_device_is_done_from_python_and_others_are_recorded_after_it() -> None:
    number, row = torch.zeros(1, device=CUDA), torch.ones(1, device=CUDA)
    generator = torch.Generator(CUDA).manual_seed(1)
    memory = Memory([number], [row], [generator])

    def waits() -> None:
        number.add_(torch.rand(1, device=CUDA, generator=generator).ceil_() * float(row))

    def draws() -> None:
        number.add_(torch.rand(1, device=CUDA, generator=generator).ceil_() * row)

    for step, refused in ((waits, True), (draws, False)):
        replayer = Replayer(CudaRecorder(CUDA))
        number.zero_()
        for _ in range(8):
            replayer.do("a", step, memory)
        assert number.item() == 8
        assert bool(replayer.refused) is refused


def test_the_probe_measures_replayed_steps_and_a_cohort_of_one() -> None:
    task = a_task("digits", {"hidden": 16})
    choice = probe(task, CUDA, recorder=recorder_of(CUDA, "auto"))
    assert {0, 1, 2} <= set(choice.epoch_seconds)
    assert "not replayed" not in choice.reason
    assert recorder_of(CUDA, "off") is None

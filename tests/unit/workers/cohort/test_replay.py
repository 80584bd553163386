"""A cohort whose steps are replayed from a recording trains as one whose steps are done from Python.

The recordings are of a stand-in that keeps a CPU's operations; tests/gpu has the same of CUDA graphs.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import torch

from lehr.schedules import schedule_from_dict
from lehr.wire.leases import LeasedStudy, LeasedTrial, Report
from lehr.wire.trials import Execution
from tests.unit.workers.child.test_child import trial as a_trial
from tests.unit.workers.cohort.cohorts import Trial, a_task, alone, distance, finish, new_cohort, together, trials
from tests.unit.workers.cohort.test_cohort import RATE, TOLERANCE, huge
from tests.unit.workers.fake_server import COSINE, FakeServer, FakeTrial
from tests.unit.workers.in_process import working
from tests.unit.workers.tasks.image_files import drawn, write_idx
from tests.unit.workers.training.tapes import Tape, TapeRecorder
from workers.child.link import Link
from workers.child.session import Limits, Session
from workers.cohort.choice import Choice
from workers.cohort.cohort import Cohort
from workers.cohort.probe import probe
from workers.cohort.replay import CHECKED_REPLAYS, WARM_STEPS, Memory, Replayer
from workers.tasks.params import OptimizerName
from workers.training.dropout import draw_dropouts, draw_masks
from workers.training.solo import build_task

SMALL = {"epochs": 3, "batch_size": 100, "hidden": 8}
DROPS = {"epochs": 3, "batch_size": 100, "hidden": 16, "dropout": 0.3, "clip_norm": 1.0}


@pytest.mark.parametrize("optimizer", get_args(OptimizerName))
def test_replayed_steps_give_the_same_curves_to_the_last_bit(optimizer: str) -> None:
    task = a_task("tabular", {**DROPS, "batch_size": 40, "optimizer": optimizer, "weight_decay": 1e-3})
    members, recorder = trials(RATE[optimizer]), TapeRecorder()
    cohort = new_cohort(task, members, recorder=recorder)
    assert finish(cohort) == together(task, members)
    assert cohort.not_replayed == ""
    assert recorder.tapes


@pytest.mark.parametrize(("name", "model"), [("digits", "cnn"), ("tabular", "resnet")])
def test_replayed_steps_of_other_models_give_the_same_curves_too(name: str, model: str) -> None:
    task = a_task(name, {"epochs": 2, "batch_size": 64, "model": model})
    members, recorder = trials(0.05)[:2], TapeRecorder()
    cohort = new_cohort(task, members, recorder=recorder)
    assert finish(cohort) == together(task, members)
    assert cohort.not_replayed == ""
    assert recorder.tapes


def test_replayed_steps_keep_batch_statistics_and_augment_as_steps_from_python_do(tmp_path: Path) -> None:
    write_idx(tmp_path / "mnist", drawn(100, (28, 28), 10), drawn(20, (28, 28), 10, seed=1), packed=False)
    params = {"data": "mnist", "model": "resnet", "width": 2, "batch_size": 8, "epochs": 2, "flip": True, "crop": 2}
    task = a_task("images", params, tmp_path)
    recorder = TapeRecorder()
    cohort = new_cohort(task, trials(0.01)[:2], recorder=recorder)
    assert finish(cohort) == together(task, trials(0.01)[:2])
    assert cohort.not_replayed == ""
    assert recorder.tapes


def test_most_steps_are_replayed_and_an_epochs_smaller_last_batch_has_a_recording_of_its_own() -> None:
    task = a_task("digits", {**SMALL, "epochs": 8})
    recorder = TapeRecorder()
    cohort = new_cohort(task, trials(0.1)[:2], recorder=recorder)
    finish(cohort)
    assert recorder.warmed == 2 * WARM_STEPS
    assert [tape.replays for tape in recorder.tapes] == [8 * 14 - WARM_STEPS, 8 - WARM_STEPS]


def test_members_that_come_and_go_make_recordings_anew_and_disturb_nobody() -> None:
    task = a_task("digits", {**SMALL, "epochs": 6})
    early, late = trials(0.1)[:2], trials(0.1)[2]

    def train(recorder: TapeRecorder | None) -> list[Any]:
        cohort = new_cohort(task, [*early, huge()], recorder=recorder)
        (late_member,) = new_cohort(task, [late]).members
        late_member.name = "late"

        def change(cohort: Cohort) -> None:
            if cohort.members[:1] and cohort.members[0].step == 30:
                cohort.join([late_member], [None])

        return finish(cohort, change)

    recorder = TapeRecorder()
    assert train(recorder) == train(None)
    assert len(recorder.tapes) >= 3
    assert all(tape.released for tape in recorder.tapes)


def test_a_cohort_saved_between_replays_goes_on_where_it_was(tmp_path: Path) -> None:
    task = a_task("tabular", DROPS)
    members = trials(0.05)[:2]
    expected = together(task, members)
    cohort = new_cohort(task, members, recorder=TapeRecorder())
    curves: list[Any] = [[] for _ in members]
    for _ in range(8):
        for member, told in cohort.advance():
            curves[int(member.name)].append(told)
    assert cohort.is_settled
    states = [cohort.state(member) for member in cohort.members]
    rest = finish(new_cohort(task, members, states, recorder=TapeRecorder()))
    assert [curve + more for curve, more in zip(curves, rest, strict=True)] == expected


class Counter:
    """A simple step that adds a value in its memory and a Python number to a sum."""

    def __init__(self) -> None:
        self.number, self.row = torch.zeros(1), torch.ones(1)
        self.spoken = 0.0

    def step(self) -> None:
        self.number.add_(self.row).add_(self.spoken)

    @property
    def memory(self) -> Memory:
        return Memory([self.number], [self.row])


def done(replayer: Replayer, counter: Counter, times: int, meanwhile: Callable[[], object] = lambda: None) -> float:
    for _ in range(times):
        replayer.do("a", counter.step, counter.memory)
        meanwhile()
    return counter.number.item()


def test_each_step_is_done_once_whether_warm_recorded_compared_or_replayed() -> None:
    replayer, counter = Replayer(TapeRecorder()), Counter()
    settled = []
    assert done(replayer, counter, 10, lambda: settled.append(replayer.is_settled)) == 10
    assert settled.index(True) == WARM_STEPS + CHECKED_REPLAYS
    assert all(settled[settled.index(True) :])


def test_a_step_that_hands_over_a_number_of_pythons_is_found_out_and_done_from_python() -> None:
    replayer, counter = Replayer(TapeRecorder()), Counter()

    def speak() -> None:
        counter.spoken += 1.0

    assert done(replayer, counter, 10, speak) == 10 + sum(range(10))
    assert replayer.refused == "steps are not replayed: a replayed step gave other results than the step itself"


def test_a_step_that_reads_on_the_host_cannot_be_recorded_and_says_why() -> None:
    replayer, counter = Replayer(TapeRecorder()), Counter()

    def step() -> None:
        counter.number.add_(counter.row * float(counter.row))

    for _ in range(10):
        replayer.do("a", step, counter.memory)
    assert counter.number.item() == 10
    assert replayer.refused.startswith("steps are not replayed: RuntimeError: operation not permitted when stream is")


def test_a_recording_that_fails_after_it_has_changed_something_costs_no_number() -> None:
    class Broken(TapeRecorder):
        def record(self, step: Callable[[], None], generators: Sequence[torch.Generator]) -> Tape:
            step()
            raise torch.OutOfMemoryError("CUDA out of memory")

    replayer, counter = Replayer(Broken()), Counter()
    assert done(replayer, counter, 10) == 10
    assert "did not fit into memory" in replayer.refused


def test_what_has_moved_is_recorded_anew() -> None:
    recorder, counter = TapeRecorder(), Counter()
    replayer = Replayer(recorder)
    assert done(replayer, counter, 8) == 8
    counter.number, counter.row = counter.number.clone(), torch.full((1,), 2.0)
    assert done(replayer, counter, 8) == 24
    assert [tape.released for tape in recorder.tapes] == [True, False]


def test_the_probe_measures_a_cohort_of_one_where_steps_are_replayed_and_tells_what_was_not() -> None:
    task = a_task("digits", {"model": "linear", "batch_size": 16})
    measured = probe(task, torch.device("cpu"), most=1, recorder=TapeRecorder())
    assert set(measured.epoch_seconds) == {0, 1}
    assert "not replayed" not in measured.reason
    assert set(probe(task, torch.device("cpu"), most=1).epoch_seconds) == {0}

    class Refusing(TapeRecorder):
        def record(self, step: Callable[[], None], generators: Sequence[torch.Generator]) -> Tape:
            raise RuntimeError("operation not permitted")

    refused = probe(task, torch.device("cpu"), most=2, recorder=Refusing())
    assert refused.reason.endswith("; steps are not replayed: RuntimeError: operation not permitted")


def test_the_probe_of_a_short_task_does_no_step_beyond_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    task = a_task("digits", {"model": "linear", "batch_size": 256, "epochs": 1})
    advance, done = Cohort.advance, []

    def watched(cohort: Cohort) -> Any:
        assert not cohort.members[0].finished
        done.append(cohort.members[0].step)
        return advance(cohort)

    monkeypatch.setattr(Cohort, "advance", watched)
    choice = probe(task, torch.device("cpu"), most=1, recorder=TapeRecorder())
    assert "cannot be fused" not in choice.reason
    # Two steps of the agreement check, then the six steps of the measured epoch.
    assert done == [0, 1, *range(6)]


def test_one_trial_is_a_cohort_where_that_was_measured_to_be_faster() -> None:
    faster, slower = Choice(1, "because", {0: 1.0, 1: 0.5}), Choice(1, "because", {0: 1.0, 1: 0.95})
    assert (faster.fuses_one, slower.fuses_one, Choice(1, "because").fuses_one) == (True, False, False)
    execution = faster.execution(1)
    assert (execution.mode, execution.together, execution.epoch_seconds) == ("cohort", 1, {"1": 0.5})
    assert slower.execution(1).epoch_seconds == {"1": 1.0}
    # It did not fit into memory, not even as a cohort of one.
    assert not faster.halved().fuses_one


def test_a_worker_trains_one_trial_after_the_other_as_cohorts_of_one_where_that_is_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = Choice(1, "a cohort of one is faster", {0: 1.0, 1: 0.5})
    monkeypatch.setattr("workers.cohort.advisor.probe", lambda *_: measured)
    document = {"name": "digits", "params": {"model": "mlp", "epochs": 3, "batch_size": 64}}
    waiting, recorder = [FakeTrial(f"t{seed}", seed=seed) for seed in range(3)], TapeRecorder()
    with (
        FakeServer(*waiting, task=document) as server,
        working(server, tmp_path, together=1, max_trials=3, recorder=recorder),
    ):
        server.wait_until(lambda: all(trial.finishes for trial in waiting))
    for trial in waiting:
        expected = alone(build_task(document), Trial(schedule_from_dict(COSINE), trial.seed))
        curve = [Report.model_validate(trial.reports[step]) for step in sorted(trial.reports)]
        assert distance(expected, curve) < TOLERANCE
        assert trial.execution is not None
        assert (trial.execution["mode"], trial.execution["together"]) == ("cohort", 1)
    assert len(recorder.tapes) >= 3


def test_a_worker_whose_steps_cannot_be_replayed_trains_on_and_tells_so_with_each_trial(tmp_path: Path) -> None:
    class Refusing(TapeRecorder):
        def record(self, step: Callable[[], None], generators: Sequence[torch.Generator]) -> Tape:
            raise RuntimeError("operation not permitted")

    document = {"name": "digits", "params": {"model": "mlp", "epochs": 3, "batch_size": 64}}
    waiting = [FakeTrial(f"t{seed}", seed=seed) for seed in range(4)]
    with (
        FakeServer(*waiting, task=document) as server,
        working(server, tmp_path, together=2, max_trials=2, recorder=Refusing()),
    ):
        server.wait_until(lambda: all(trial.finishes for trial in waiting))
    why = "set by the worker's operator; steps are not replayed: RuntimeError: operation not permitted"
    assert [trial.execution["reason"] for trial in waiting if trial.execution is not None] == [why] * 4


def test_a_dropout_of_a_trial_alone_off_the_cpu_draws_what_a_cohort_draws() -> None:
    ours, theirs = torch.nn.Sequential(torch.nn.Dropout(0.3)), torch.nn.Sequential(torch.nn.Dropout(0.3))
    draw_dropouts(ours)
    inputs = torch.ones(5, 7)
    torch.manual_seed(3)
    drawn = ours(inputs)
    torch.manual_seed(3)
    # On a CPU, torch's own dropout draws the same.
    assert torch.equal(drawn, theirs(inputs))
    (mask,) = draw_masks([(0.3, inputs.shape)], [torch.Generator().manual_seed(3)], torch.device("cpu"))
    assert torch.equal(drawn, mask[0])
    assert torch.equal(ours.eval()(inputs), inputs)


def test_a_late_explanation_of_how_a_trial_is_trained_reaches_the_worker_through_the_pipe() -> None:
    here, there = multiprocessing.Pipe()
    explained: list[tuple[str, str]] = []

    class TrialChannel:
        def explain(self, trial: LeasedTrial, execution: Execution) -> None:
            explained.append((trial.trial, execution.reason))

    study = LeasedStudy(study_id="s", task={"name": "digits"}, objective={"metric": "val_loss"})
    nothing: Any = None
    channel: Any = TrialChannel()
    session = Session(nothing, study, [a_trial("t")], channel=channel, limits=Limits(1.0), measured=lambda usage: None)
    with here, there:
        # Not a whole Link, whose thread would kill the test's process when the pipe closes.
        Link.explain(SimpleNamespace(send=there.send), a_trial("t"), Choice(1, "because").execution(1))
        session._handle(here.recv())
    assert explained == [("t", "because")]

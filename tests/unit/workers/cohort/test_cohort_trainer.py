"""A worker that trains the trials of a lease as a cohort, against a server over HTTP."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Any

import pytest
import torch

from lehr.schedules import schedule_from_dict
from lehr.wire.leases import Report
from lehr.wire.trials import Fold
from tests.unit.workers.cohort.cohorts import Trial, a_task, alone, distance
from tests.unit.workers.fake_server import COSINE, FakeServer, FakeTrial
from tests.unit.workers.in_process import working
from workers.cohort.advisor import Advisor
from workers.cohort.choice import Choice, ChoiceCache
from workers.cohort.cohort import Cohort
from workers.cohort.probe import probe
from workers.tasks.digits.params import DigitsParams
from workers.training.solo import build_task

CPU = torch.device("cpu")
TASK: dict[str, Any] = {"name": "digits", "params": {"model": "mlp", "epochs": 3, "batch_size": 64}}
LONG: dict[str, Any] = {"name": "digits", "params": {"model": "mlp", "epochs": 1000, "batch_size": 256}}
HUGE = {"family": "constant", "start_lr": 1e30, "end_lr": 1e30}
TOLERANCE = 2e-5
LONG_TOLERANCE = 1e-3
"""Rounding errors grow over hundreds of steps."""


def some(count: int) -> list[FakeTrial]:
    return [FakeTrial(f"t{seed}", seed=seed) for seed in range(count)]


def ended(trials: list[FakeTrial]) -> bool:
    return all(trial.finishes for trial in trials)


def curve(trial: FakeTrial) -> list[Report]:
    return [Report.model_validate(trial.reports[step]) for step in sorted(trial.reports)]


def assert_as_alone(trial: FakeTrial, task: dict[str, Any], tolerance: float = TOLERANCE) -> None:
    fold = None if trial.fold is None else Fold.model_validate(trial.fold)
    expected = alone(build_task(task, fold=fold), Trial(schedule_from_dict(COSINE), trial.seed))
    assert distance(expected, curve(trial)) < tolerance
    assert trial.state == "COMPLETED"
    assert trial.value == expected[-1].metrics["val_accuracy"]


def test_a_lease_is_trained_together_and_gives_each_trial_its_own_curve(tmp_path: Path) -> None:
    trials = some(4)
    with FakeServer(*trials, task=TASK) as server, working(server, tmp_path, together=4):
        server.wait_until(lambda: ended(trials))
    for trial in trials:
        assert_as_alone(trial, TASK)
    assert len({trial.value for trial in trials}) > 1
    told = {"mode": "cohort", "together": 4, "reason": "set by the worker's operator", "epoch_seconds": {}}
    told |= {"processes": 1, "processes_seconds": {}}
    assert [trial.execution for trial in trials] == [told] * 4
    # All trials end together: one call sends all results, and each report call covers all trials.
    assert server.calls["finish"] == 1
    assert server.calls["report"] <= 3


def test_a_trial_that_trains_alone_tells_why(tmp_path: Path) -> None:
    trials = some(2)
    with FakeServer(*trials, task=TASK) as server, working(server, tmp_path, together=1):
        server.wait_until(lambda: ended(trials))
    told = {"mode": "solo", "together": 1, "reason": "set by the worker's operator", "epoch_seconds": {}}
    told |= {"processes": 1, "processes_seconds": {}}
    assert [trial.execution for trial in trials] == [told, told]


def test_a_lease_that_is_too_small_comes_back_as_large_as_is_wanted(tmp_path: Path) -> None:
    trials = some(3)
    with FakeServer(*trials, task=TASK) as server, working(server, tmp_path, together=3):
        server.wait_until(lambda: ended(trials))
    assert [body["max_trials"] for _, body in server.claims][:2] == [1, 3]
    assert [trial.attempt for trial in trials] == [2, 1, 1]
    assert [trial.releases for trial in trials] == [1, 0, 0]


def test_more_trials_than_are_wanted_train_in_turns(tmp_path: Path) -> None:
    trials = some(5)
    with FakeServer(*trials, task=TASK) as server, working(server, tmp_path, together=2, max_trials=5):
        server.wait_until(lambda: ended(trials))
    for trial in trials:
        assert_as_alone(trial, TASK)


def test_freed_places_are_taken_by_trials_that_wait_and_disturb_nobody(tmp_path: Path) -> None:
    trials = some(4)
    trials[0].schedule = HUGE
    task = {"name": "digits", "params": {**LONG["params"], "epochs": 12}}
    with FakeServer(*trials, task=task) as server, working(server, tmp_path, together=3, max_trials=4):
        server.wait_until(lambda: ended(trials))
    assert trials[0].state == "DIVERGED"
    for trial in trials[1:]:
        assert_as_alone(trial, task)
    assert trials[3].execution is not None
    assert trials[3].execution["together"] == 3


def test_freed_places_are_taken_by_trials_of_the_study_that_are_leased_for_them(tmp_path: Path) -> None:
    trials = some(4)
    trials[0].schedule = HUGE
    task = {"name": "digits", "params": {**LONG["params"], "epochs": 60}}
    with FakeServer(*trials, task=task) as server, working(server, tmp_path, together=3, max_trials=3):
        server.wait_until(lambda: trials[3].reports)
        # It joins the running trials; its lease is as large as the number of free places.
        assert not any(trial.finishes for trial in trials[1:])
        server.wait_until(lambda: ended(trials))
    assert [(body["max_trials"], body["wait_seconds"] > 0) for _, body in server.claims[:2]] == [(3, True), (1, False)]
    for trial in trials[1:]:
        assert_as_alone(trial, task, LONG_TOLERANCE)
    assert [trial.releases for trial in trials] == [0] * 4


def test_the_next_cohort_is_leased_before_the_present_one_ends_and_no_further_one(tmp_path: Path) -> None:
    trials = some(9)
    task = {"name": "digits", "params": {**LONG["params"], "epochs": 60}}
    with FakeServer(*trials, task=task) as server, working(server, tmp_path, together=3, max_trials=3):
        server.wait_until(lambda: ended(trials))
    calls = [call for call in server.order if call in ("leases", "finish")]
    assert calls[:5] == ["leases", "leases", "finish", "leases", "finish"]
    assert calls.count("finish") == 3
    for trial in trials:
        assert_as_alone(trial, task, LONG_TOLERANCE)


def test_a_worker_that_drains_gives_back_what_it_leased_ahead(tmp_path: Path) -> None:
    trials = some(4)
    trials[0].schedule = HUGE
    with FakeServer(*trials, task=LONG) as server:
        with working(server, tmp_path, together=3, max_trials=3):
            server.wait_until(lambda: trials[3].attempt)
            begun = time.monotonic()
        assert time.monotonic() - begun < 5
        assert [trial.state for trial in trials] == ["DIVERGED", "WAITING", "WAITING", "WAITING"]


def test_an_epoch_of_a_cohort_is_one_call(tmp_path: Path) -> None:
    trials = some(6)
    task = {"name": "digits", "params": {"model": "mlp", "epochs": 4, "batch_size": 4}}
    with (
        FakeServer(*trials, task=task) as server,
        working(server, tmp_path, together=6, max_trials=6, checkpoint_seconds=1e6),
    ):
        server.wait_until(lambda: ended(trials))
    # If calls are slow, two epochs may share a call.
    assert server.calls["report"] <= 4
    assert [trial.report_calls for trial in trials] == [server.calls["report"]] * 6
    assert server.calls["finish"] == 1


def test_trials_of_several_folds_and_fresh_seeds_are_trained_as_alone(tmp_path: Path) -> None:
    trials = some(8)
    for place, trial in enumerate(trials):
        # The last two retrain one schedule without folds on other seeds, as a confirmation does.
        trial.fold = {"index": place % 2, "count": 3} if place < 6 else None
        trial.purpose = "search" if place < 6 else "confirm"
    trials[0].schedule = HUGE
    with FakeServer(*trials, task=TASK) as server, working(server, tmp_path, together=2, max_trials=8):
        server.wait_until(lambda: ended(trials))
    assert trials[0].state == "DIVERGED"
    for trial in trials[1:]:
        assert_as_alone(trial, TASK)
    # The fifth takes the first one's place, since it has the same fold; no trial is left to train with the sixth.
    told = [trial.execution["together"] for trial in trials if trial.execution is not None]
    assert told == [2, 2, 2, 2, 2, 1, 2, 2]


def test_a_diverging_a_pruned_and_a_cancelled_trial_leave_the_others_alone(tmp_path: Path) -> None:
    trials = some(5)
    trials[1].schedule = HUGE
    # A wide model, so that training outlasts the answer to the first reports; more epochs would add rounding errors.
    task = {"name": "digits", "params": {**LONG["params"], "epochs": 40, "hidden": 1024}}
    trials[2].directive, trials[3].directive = "prune", "cancel"
    with FakeServer(*trials, task=task) as server, working(server, tmp_path, together=5):
        server.wait_until(lambda: trials[0].finishes and trials[4].finishes)
    assert trials[1].state == "DIVERGED"
    assert trials[1].error == f"loss became non-finite at step {max(trials[1].reports)}"
    assert trials[2].state == "PRUNED"
    assert trials[2].value == curve(trials[2])[-1].metrics["val_accuracy"]
    assert trials[3].finishes == 0
    assert len(trials[3].reports) < 40
    for trial in (trials[0], trials[4]):
        assert_as_alone(trial, task)


def test_a_drained_cohort_goes_on_where_it_was(tmp_path: Path) -> None:
    task = {"name": "digits", "params": {**LONG["params"], "epochs": 60}}
    trials = some(3)
    with FakeServer(*trials, task=task) as server:
        with working(server, tmp_path, together=3):
            server.wait_until(lambda: len(trials[0].reports) > 5)
        assert [trial.state for trial in trials] == ["WAITING"] * 3
        assert all(trial.checkpoint for trial in trials)
        done = min(len(trial.reports) for trial in trials)
        with working(server, tmp_path, together=3, max_trials=3):
            server.wait_until(lambda: ended(trials))
    assert done < 60
    for trial in trials:
        assert_as_alone(trial, task)
    assert list(tmp_path.glob("*.pt")) == []


def test_one_result_that_is_refused_costs_only_its_own_trial(tmp_path: Path) -> None:
    trials = some(3)
    with FakeServer(*trials, task=TASK) as server:
        # The call for all three, then the call for the first.
        server.refusals = {"finish": deque([422, 422])}
        with working(server, tmp_path, together=3, max_trials=3):
            server.wait_until(lambda: ended(trials[1:]))
    assert [trial.finishes for trial in trials] == [0, 1, 1]


def test_what_fails_together_is_trained_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Cohort) -> None:
        raise RuntimeError("vmap has no rule for this")

    monkeypatch.setattr(Cohort, "advance", fail)
    trials = some(3)
    with FakeServer(*trials, task=TASK) as server, working(server, tmp_path, together=3, max_trials=3):
        server.wait_until(lambda: ended(trials))
    for trial in trials:
        assert_as_alone(trial, TASK)


def test_a_cohort_is_halved_until_it_fits_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    advance, sizes = Cohort.advance, []

    def fit(self: Cohort) -> Any:
        sizes.append(len(self.members))
        if len(self.members) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return advance(self)

    monkeypatch.setattr(Cohort, "advance", fit)
    trials = some(4)
    with FakeServer(*trials, task=TASK) as server, working(server, tmp_path, together=8, max_trials=8):
        server.wait_until(lambda: ended(trials))
    assert sizes[0] == 4
    assert set(sizes) == {4, 2}
    for trial in trials:
        assert_as_alone(trial, TASK)


def test_a_task_that_fails_fails_its_trials_by_name(tmp_path: Path) -> None:
    trials = some(2)
    task = {"name": "digits", "params": {"epochs": 0}}
    with FakeServer(*trials, task=task) as server, working(server, tmp_path, together=2, max_trials=2):
        server.wait_until(lambda: ended(trials))
    assert [trial.state for trial in trials] == ["FAILED"] * 2
    assert all("task.params.epochs" in (trial.error or "") for trial in trials)


def test_the_probe_finds_that_small_linear_models_train_faster_together() -> None:
    torch.set_num_threads(1)
    choice = probe(a_task("tabular", {"model": "linear", "batch_size": 32}), CPU, most=16)
    assert choice.size > 1
    assert "times as fast as alone" in choice.reason
    assert {0, 2, 4} <= set(choice.epoch_seconds)
    speeds = {size: max(1, size) / seconds for size, seconds in choice.epoch_seconds.items()}
    assert choice.size == max(speeds, key=lambda size: speeds[size])


def test_the_probe_says_why_a_model_cannot_be_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    task = a_task("digits", {"hidden": 8})
    build = task.build_model

    class Noisy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = build()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            outputs: torch.Tensor = self.inner(images + torch.randn_like(images))
            return outputs

    monkeypatch.setattr(task, "build_model", Noisy)
    choice = probe(task, CPU)
    assert choice.size == 1
    assert choice.reason.startswith("cannot be fused: RuntimeError: vmap: called random operation")


def test_the_probe_notices_a_model_whose_members_do_not_train_as_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    task = a_task("digits", {"hidden": 8})
    build = task.build_model

    class Aware(torch.nn.Module):
        """Distinguishes solo training from a cohort by the parameters that torch.func passes."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = build()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            outputs: torch.Tensor = self.inner(images)
            return outputs * (1.0 if isinstance(next(self.inner.parameters()), torch.nn.Parameter) else 2.0)

    monkeypatch.setattr(task, "build_model", Aware)
    choice = probe(task, CPU)
    assert choice.size == 1
    assert "differs from solo training" in choice.reason


def test_choices_are_kept_by_task_and_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def count(task: Any, device: torch.device, *_: Any) -> Choice:
        measured.append(task.params.hidden)
        return Choice(6, "because", {0: 1.0, 2: 0.5})

    monkeypatch.setattr("workers.cohort.advisor.probe", count)
    wide, narrow = ({"name": "digits", "params": {"hidden": hidden}} for hidden in (32, 16))
    first, second = (Advisor(CPU, ChoiceCache(tmp_path)) for _ in range(2))
    assert first.choice(wide) == first.choice(wide) == second.choice(wide) == Choice(6, "because", {0: 1.0, 2: 0.5})
    first.choice(narrow)
    assert measured == [32, 16]
    first.halve(wide)
    assert Advisor(CPU, ChoiceCache(tmp_path)).choice(wide).size == 3


def test_a_task_is_the_same_whether_its_defaults_are_written_out_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = iter([Choice(6, "because"), Choice(7, "measured again")])
    monkeypatch.setattr("workers.cohort.advisor.probe", lambda *_: next(choices))
    # A study posted before any worker offers its task has no default parameters.
    short = {"name": "digits", "params": {"model": "mlp", "epochs": 10.0}}
    whole = {"name": "digits", "params": DigitsParams(model="mlp", epochs=10).model_dump()}
    advisor, other = (Advisor(CPU, ChoiceCache(tmp_path)) for _ in range(2))
    assert advisor.choice(short).size == advisor.choice(whole).size == other.choice(whole).size == 6


def test_a_task_is_measured_once_it_has_trained_alone_for_long_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.cohort.advisor.probe", lambda *_: Choice(6, "because"))
    advisor, other = (Advisor(CPU, ChoiceCache(tmp_path), probe_after=20) for _ in range(2))
    advisor.add_solo_seconds(TASK, 19)
    assert advisor.choice(TASK).size == 1
    assert advisor.choice(TASK).reason == "the task has not trained long enough for a measurement to pay off"
    advisor.add_solo_seconds(TASK, 1)
    assert advisor.choice(TASK).size == 6
    # A cached choice costs nothing.
    assert other.choice(TASK).size == 6


def test_few_trials_are_grouped_as_was_measured_to_be_fastest() -> None:
    measured = Choice(8, "because", {0: 1.0, 2: 2.2, 4: 3.0, 8: 4.0})
    assert [measured.size_of(trials) for trials in (1, 2, 3, 4, 7, 8, 9)] == [1, 1, 1, 4, 4, 8, 8]
    assert [Choice(8, "an operator's").size_of(trials) for trials in (1, 3, 9)] == [1, 3, 8]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"size": "many", "reason": "", "epoch_seconds": {}}'])
def test_a_choice_that_cannot_be_read_is_measured_again(content: str, tmp_path: Path) -> None:
    cache, key = ChoiceCache(tmp_path), {"task": "a"}
    cache.store(key, Choice(4, "because"))
    (file,) = tmp_path.iterdir()
    file.write_text(content)
    assert cache.load(key) is None
    cache.store(key, Choice(2, "again"))
    assert cache.load(key) == Choice(2, "again")


def test_a_folder_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = ChoiceCache(tmp_path / "file")
    cache.store({"task": "a"}, Choice(4, "because"))
    assert cache.load({"task": "a"}) is None


def test_a_cancelled_cohort_ends_soon(tmp_path: Path) -> None:
    trials = some(3)
    with FakeServer(*trials, task=LONG) as server, working(server, tmp_path, together=3, max_trials=3):
        server.wait_until(lambda: trials[0].reports)
        begun = time.monotonic()
        for trial in trials:
            trial.directive = "cancel"
        time.sleep(0.5)
        settled = [len(trial.reports) for trial in trials]
        time.sleep(0.3)
        assert [len(trial.reports) for trial in trials] == settled
    assert time.monotonic() - begun < 10

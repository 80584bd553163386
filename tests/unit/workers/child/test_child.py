"""Whatever training code does, the trial ends with a useful error, and the worker trains the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lehr.wire.data import DataSummary
from lehr.wire.leases import Directive, LeasedStudy, LeasedTrial, Report
from lehr.wire.trials import Execution
from tests.unit.workers.fake_server import COSINE
from tests.unit.workers.tasks.bad_tasks import BAD_STEP
from workers.child.census import descendants, memory_bytes
from workers.child.child_trainer import ChildTrainer
from workers.child.session import Limits
from workers.settings import WorkerSettings
from workers.trainer import Dropped, Finished, Interrupted, Outcome
from workers.training.failures import MIB

LIMITS = Limits(hang_seconds=2.5, memory_bytes=800 * MIB, grace_seconds=0.5, drain_seconds=0.5)


class Recorder:
    """A channel that records all events of its trials."""

    def __init__(self) -> None:
        self.draining = False
        self.said: Directive = "continue"
        self.started: list[str] = []
        self.steps: dict[str, int] = {}
        self.step_times: list[float] = []
        self.reports: dict[str, list[Report]] = {}
        self.places: list[str] = []
        self.outcomes: dict[str, Outcome] = {}
        self.then: Any = lambda: None
        self.wanted: list[int] = []
        self.coming: list[LeasedTrial] = []

    def start(self, trial: LeasedTrial, execution: Execution) -> None:
        self.started.append(trial.trial)

    def open(self, trial: LeasedTrial, horizon_steps: int, data: DataSummary | None = None) -> None:
        self.reports[trial.trial] = []
        self.then()

    def step(self, trial: str, step: int) -> None:
        self.steps[trial] = step
        self.step_times.append(time.monotonic())

    def put(self, trial: str, reports: Any) -> None:
        self.put_all({trial: reports})

    def put_all(self, reports: Any) -> None:
        for trial, some in reports.items():
            self.reports[trial] += some

    def want(self, places: int) -> None:
        self.wanted.append(places)

    def arrivals(self) -> list[LeasedTrial]:
        came, self.coming = self.coming, []
        return came

    def pending(self, trial: str) -> list[Report]:
        return []

    def announce(self, trial: str, checkpoint: str) -> None:
        self.places.append(checkpoint)

    def directive(self, trial: str) -> Directive:
        return self.said

    def end_all(self, outcomes: Any) -> None:
        for trial, outcome in outcomes:
            self.end(trial, outcome)

    def end(self, trial: LeasedTrial, outcome: Outcome) -> None:
        assert trial.trial not in self.outcomes
        self.outcomes[trial.trial] = outcome

    def error(self, trial: str) -> str:
        outcome = self.outcomes[trial]
        assert isinstance(outcome, Finished)
        assert outcome.state == "FAILED"
        return outcome.error or ""


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChildTrainer]:
    folder = tmp_path_factory.mktemp("child")
    declared = folder / "bad-1.0.dist-info"
    declared.mkdir()
    (declared / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n")
    (declared / "entry_points.txt").write_text("[lehr.tasks]\ntest.bad = tests.unit.workers.tasks.bad_tasks:Bad\n")
    sys.path.insert(0, str(folder))
    settings = WorkerSettings(device="cpu", tasks=("test.bad",), checkpoints=str(folder / "checkpoints"))
    trainer = ChildTrainer(settings, LIMITS)
    yield trainer
    trainer.close()
    sys.path.remove(str(folder))


def study(how: str = "well", **others: Any) -> LeasedStudy:
    params = {"epochs": 5, "batch_size": 20, "how": how, **others}
    return LeasedStudy(study_id="s", task={"name": "test.bad", "params": params}, objective={"metric": "val_loss"})


def trial(name: str = "t") -> LeasedTrial:
    return LeasedTrial.model_validate(
        {"trial": name, "number": 0, "attempt": 1, "purpose": "search", "seed": 0, "schedule": COSINE}
        | {"horizon_fraction": 1.0, "checkpoint": None}
    )


def train(trainer: ChildTrainer, study: LeasedStudy, *names: str, channel: Recorder | None = None) -> Recorder:
    channel = channel or Recorder()
    trainer.train(study, [trial(name) for name in names or ("t",)], channel)
    return channel


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def assert_next_trial_is_trained(trainer: ChildTrainer) -> None:
    channel = train(trainer, study())
    assert channel.outcomes["t"] == Finished("COMPLETED", channel.reports["t"][-1].metrics["val_loss"])
    assert [report.step for report in channel.reports["t"]] == [1, 3, 5, 7, 9]


def test_one_process_trains_trial_after_trial(trainer: ChildTrainer) -> None:
    assert_next_trial_is_trained(trainer)
    pid = trainer.pid
    channel = train(trainer, study(), "a", "b", "c")
    assert channel.started == ["a", "b", "c"] == list(channel.outcomes)
    assert channel.reports["a"] == channel.reports["b"] == channel.reports["c"]
    assert channel.steps["c"] == 10
    assert trainer.pid == pid


def test_steps_are_told_while_reports_come_and_are_acknowledged_all_the_time(trainer: ChildTrainer) -> None:
    trainer.ready()
    channel = train(trainer, study("slowly", epochs=60))
    assert len(channel.reports["t"]) == 60
    assert channel.steps["t"] == 120
    # The training takes 2.4 s or more, and a last message comes at its end.
    assert len(channel.step_times) >= 4


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("raise", ["before it goes wrong", "Traceback", "bad_tasks.py", "ValueError: on purpose"]),
        ("print", ["that was 1 GiB", "ValueError: on purpose"]),
        ("leak", ["OutOfMemoryError: The training process used ", "its limit is 800 MiB", "look for a leak"]),
        ("ask for too much", ["Traceback", "OutOfMemoryError: The training needs more memory than is available"]),
        ("sys exit", ["Traceback", "SystemExit: 3"]),
        ("os exit", ["now I go", "ProcessEndedError: ", "exited with code 3"]),
        ("kill", ["ProcessEndedError: ", "was killed by SIGKILL"]),
        ("hang", ["in _hang\n", "HangError: The training made no progress for 2.5 s", "LEHR_HANG_SECONDS"]),
        ("hang in C", ["in _hang_in_C\n", "HangError: "]),
        ("hang in data", ["in data\n", "HangError: ", "before the first step"]),
        ("close everything", ["ProcessEndedError: "]),
    ],
)
def test_a_task_that_goes_wrong_fails_its_trial_with_a_useful_word(
    trainer: ChildTrainer, how: str, words: list[str]
) -> None:
    before = time.monotonic()
    error = train(trainer, study(how)).error("t")
    for word in words:
        assert word in error, error
    assert len(error) < 20_000
    assert time.monotonic() - before < 30
    assert_next_trial_is_trained(trainer)


def test_a_loss_that_is_no_number_is_a_divergence_and_no_fault_of_the_process(trainer: ChildTrainer) -> None:
    trainer.ready()
    pid = trainer.pid
    channel = train(trainer, study("nan"))
    assert channel.outcomes["t"] == Finished("DIVERGED", error=f"loss became non-finite at step {BAD_STEP}")
    assert_next_trial_is_trained(trainer)
    assert trainer.pid == pid


def test_a_copy_that_a_task_forks_says_nothing_and_ends(trainer: ChildTrainer) -> None:
    expected = train(trainer, study()).reports["t"]
    channel = train(trainer, study("fork"))
    assert channel.reports["t"] == expected
    assert isinstance(channel.outcomes["t"], Finished)
    assert channel.outcomes["t"].state == "COMPLETED"
    assert descendants(trainer.pid) == []
    assert_next_trial_is_trained(trainer)


def test_what_a_task_leaves_running_ends_with_its_trial(trainer: ChildTrainer, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    channel = train(trainer, study("leave a process", note=str(note)))
    assert isinstance(channel.outcomes["t"], Finished)
    assert channel.outcomes["t"].state == "COMPLETED"
    assert not is_alive(int(note.read_text()))


def test_a_trial_that_does_not_end_when_told_is_ended(trainer: ChildTrainer) -> None:
    outcomes: list[tuple[Directive, Outcome]] = [
        ("prune", Finished("PRUNED", pytest.approx(0.0, abs=1e9))),
        ("lost", Dropped("lost")),
    ]
    for said, expected in outcomes:
        channel = Recorder()
        channel.then = lambda channel=channel, said=said: setattr(channel, "said", said)
        train(trainer, study("hang in C"), channel=channel)
        assert channel.outcomes["t"] == expected
    assert_next_trial_is_trained(trainer)


def test_a_worker_that_drains_does_not_wait_for_a_trial_that_hangs(trainer: ChildTrainer) -> None:
    trainer.ready()
    channel = Recorder()
    channel.then = lambda: setattr(channel, "draining", True)
    before = time.monotonic()
    train(trainer, study("hang"), "a", "b", channel=channel)
    assert time.monotonic() - before < 3
    assert channel.outcomes == {"a": Interrupted()}


def test_a_worker_that_drains_saves_what_is_under_way(trainer: ChildTrainer) -> None:
    trainer.ready()
    channel = Recorder()
    channel.then = lambda: setattr(channel, "draining", True)
    train(trainer, study("slowly", epochs=1000), channel=channel)
    assert channel.outcomes == {"t": Interrupted()}
    (place,) = channel.places
    assert Path(place).exists()
    # The next attempt continues from the checkpoint, so its first count of steps includes earlier ones.
    resumed = Recorder()
    resumed.then = lambda: setattr(resumed, "said", "cancel")
    train(trainer, study("slowly", epochs=1000), channel=resumed)
    assert resumed.outcomes == {"t": Dropped("cancel")}
    assert resumed.steps["t"] > channel.steps["t"]


def test_a_trial_that_comes_while_another_one_trains_is_trained_after_it(trainer: ChildTrainer) -> None:
    channel = Recorder()
    channel.then = lambda: channel.coming.extend([trial("late")] if channel.started == ["t"] else [])
    # Long enough for the worker to ask for more trials meanwhile, even on a busy machine.
    train(trainer, study("slowly", epochs=15), channel=channel)
    assert channel.started == ["t", "late"]
    ended = [outcome for outcome in channel.outcomes.values() if isinstance(outcome, Finished)]
    assert [outcome.state for outcome in ended] == ["COMPLETED"] * 2, ended


def test_places_that_trials_have_come_for_are_wanted_no_more(tmp_path: Path) -> None:
    """Otherwise a worker would lease one cohort after another in advance, and leave no trials for other workers."""

    class Lender(Recorder):
        """A channel with three trials for the first request. `again`: requests made while these waited."""

        def __init__(self) -> None:
            super().__init__()
            self.lent = False
            self.again: list[int] = []

        def want(self, places: int) -> None:
            super().want(places)
            if not self.lent:
                self.coming = [trial(name) for name in ("d", "e", "f")]
            elif not self.coming and len(self.started) == 3:
                self.again.append(places)

        def arrivals(self) -> list[LeasedTrial]:
            came = super().arrivals()
            self.lent = self.lent or bool(came)
            return came

    task = {"name": "digits", "params": {"epochs": 150, "batch_size": 256, "hidden": 8}}
    digits = LeasedStudy(study_id="s", task=task, objective={"metric": "val_accuracy"})
    settings = WorkerSettings(device="cpu", tasks=("digits",), checkpoints=str(tmp_path), cohort=3, trials_per_lease=3)
    trainer, channel = ChildTrainer(settings, Limits(60.0)), Lender()
    try:
        trainer.train(digits, [trial(name) for name in ("a", "b", "c")], channel)
    finally:
        trainer.close()
    assert channel.lent
    assert channel.started == list("abcdef") == list(channel.outcomes)
    assert channel.again == []


def test_one_bad_trial_of_a_lease_leaves_the_others_alone(trainer: ChildTrainer) -> None:
    channel = train(trainer, study("kill"), "a", "b")
    assert "SIGKILL" in channel.error("a")
    assert "SIGKILL" in channel.error("b")
    assert channel.started == ["a", "b"]


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_worker_that_is_killed_takes_its_training_and_all_it_started_with_it(
    trainer: ChildTrainer, tmp_path: Path
) -> None:
    code = f"""
import sys
sys.path[:] = {sys.path!r}
from tests.unit.workers.child.test_child import *
settings = WorkerSettings(device="cpu", tasks=("test.bad",), checkpoints={str(tmp_path)!r})
trainer = ChildTrainer(settings, Limits(1000.0))
trainer.ready()
print(trainer.pid, flush=True)
train(trainer, study("hang in C"))
"""
    worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    pid = int(worker.stdout.readline())
    assert is_alive(pid)
    assert memory_bytes(pid) > 50 * MIB
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    until = time.monotonic() + 10
    while is_alive(pid):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert os.getpid() != pid

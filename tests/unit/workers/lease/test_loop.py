"""The lease loop against a server over HTTP: what the server holds in the end, whatever fails on the way."""

from __future__ import annotations

import math
import time
from collections import deque
from itertools import pairwise
from pathlib import Path

import pytest

from lehr.errors import ServerError
from lehr.schedules import schedule_from_dict
from tests.unit.workers.fake_server import COSINE, FakeServer, FakeTrial
from tests.unit.workers.in_process import working
from tests.unit.workers.training.runs import new_run, train

LONG_TASK = {"name": "digits", "params": {"model": "mlp", "epochs": 1000, "batch_size": 64}}
HUGE = {"family": "constant", "start_lr": 1e30, "end_lr": 1e30}


def ended(*trials: FakeTrial) -> bool:
    return all(trial.finishes for trial in trials)


def work_until_claimed(server: FakeServer, folder: Path) -> None:
    with working(server, folder):
        server.wait_until(lambda: server.calls["leases"])
        time.sleep(0.5)


def test_a_trial_is_trained_reported_and_finished(tmp_path: Path) -> None:
    trial = FakeTrial("t1", seed=5)
    with FakeServer(trial) as server, working(server, tmp_path):
        server.wait_until(lambda: ended(trial))
    expected = train(new_run(server.task["params"], schedule_from_dict(COSINE), seed=5))
    assert [trial.reports[step] for step in sorted(trial.reports)] == [report.model_dump() for report in expected]
    assert trial.state == "COMPLETED"
    assert trial.value == expected[-1].metrics["val_accuracy"]
    assert trial.error is None


def test_the_claim_offers_the_task_with_its_schema_and_metrics(tmp_path: Path) -> None:
    with FakeServer() as server, working(server, tmp_path):
        server.wait_until(lambda: server.claims)
    (offer,) = server.claims[0][1]["worker"]["tasks"]
    assert offer["name"] == "digits"
    assert offer["params_schema"]["additionalProperties"] is False
    assert offer["metrics"] == ["val_loss", "val_accuracy"]


def test_trials_that_share_a_lease_all_get_their_result(tmp_path: Path) -> None:
    trials = [FakeTrial(f"t{seed}", seed=seed) for seed in range(4)]
    with FakeServer(*trials) as server, working(server, tmp_path, max_trials=4):
        server.wait_until(lambda: ended(*trials))
    assert server.calls["leases"] <= 2
    assert [trial.attempt for trial in trials] == [1, 1, 1, 1]
    assert len({trial.value for trial in trials}) > 1


def test_lost_replies_duplicate_nothing(tmp_path: Path) -> None:
    trials = [FakeTrial("t1"), FakeTrial("t2", seed=1)]
    with FakeServer(*trials) as server:
        server.lost_replies.update({"leases": 2, "report": 2, "finish": 2})
        with working(server, tmp_path):
            server.wait_until(lambda: ended(*trials))
    # A repeated claim carries its key again and gets its lease again.
    assert [trial.attempt for trial in trials] == [1, 1]
    assert server.claims[0][0] == server.claims[1][0]
    assert server.claims[2][0] != server.claims[-1][0]
    assert [sorted(trial.reports) for trial in trials] == [[22, 45, 68]] * 2
    # The server saw the same body again, not another: a repetition of what it had not acknowledged.
    assert sum(trial.repeated_steps for trial in trials) > 0


def test_a_server_that_is_away_does_not_disturb_training(tmp_path: Path) -> None:
    trial = FakeTrial("t1")
    with FakeServer(trial, task={"name": "digits", "params": {"epochs": 30}}) as server, working(server, tmp_path):
        server.wait_until(lambda: trial.reports)
        server.down = True
        time.sleep(2.0)
        assert server.calls["report"] > 1
        server.down = False
        server.wait_until(lambda: ended(trial))
    expected = train(new_run({"epochs": 30}, schedule_from_dict(COSINE)))
    assert [trial.reports[step] for step in sorted(trial.reports)] == [report.model_dump() for report in expected]
    assert trial.attempt == 1


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_passing_troubles_are_waited_out(status: int, tmp_path: Path) -> None:
    trial = FakeTrial("t1")
    with FakeServer(trial) as server:
        server.refusals = {call: deque([status]) for call in ("leases", "report", "finish")}
        with working(server, tmp_path):
            server.wait_until(lambda: ended(trial))
    assert trial.state == "COMPLETED"
    assert sorted(trial.reports) == [22, 45, 68]


def test_a_diverging_trial_is_a_result_with_its_step_and_nulls(tmp_path: Path) -> None:
    trial = FakeTrial("t1", schedule=HUGE)
    with FakeServer(trial) as server, working(server, tmp_path):
        server.wait_until(lambda: ended(trial))
    assert trial.state == "DIVERGED"
    last = trial.reports[max(trial.reports)]
    assert trial.error == f"loss became non-finite at step {last['step']}"
    assert last["train_loss"] is None
    assert last["metrics"] == {"val_loss": None, "val_accuracy": None}
    assert trial.value is None
    assert math.isfinite(last["lr"])


def test_wrong_parameters_fail_the_trial_by_name_and_the_next_lease_is_taken(tmp_path: Path) -> None:
    trial = FakeTrial("t1")
    with FakeServer(trial, task={"name": "digits", "params": {"epochs": 0}}) as server, working(server, tmp_path):
        server.wait_until(lambda: ended(trial))
        server.task = {"name": "digits", "params": {"epochs": 1}}
        after = FakeTrial("t2")
        server.trials["t2"] = after
        server.wait_until(lambda: ended(after))
    assert trial.state == "FAILED"
    assert trial.error is not None
    assert "task.params.epochs" in trial.error
    assert "Traceback" in trial.error
    assert after.state == "COMPLETED"


@pytest.mark.parametrize(
    ("task", "objective", "named"),
    [
        ({"name": "resnet", "params": {}}, "val_accuracy", "task.name"),
        ({"name": "digits", "params": {}}, "f1", "objective.metric"),
    ],
)
def test_a_study_this_worker_cannot_train_fails_with_the_reason(
    task: dict[str, object], objective: str, named: str, tmp_path: Path
) -> None:
    trial = FakeTrial("t1")
    with FakeServer(trial, task=task) as server:
        server.objective["metric"] = objective
        with working(server, tmp_path):
            server.wait_until(lambda: ended(trial))
    assert trial.state == "FAILED"
    assert named in str(trial.error)


def test_a_pruned_trial_ends_with_its_last_value(tmp_path: Path) -> None:
    trial = FakeTrial("t1")
    with FakeServer(trial, task=LONG_TASK) as server, working(server, tmp_path):
        server.wait_until(lambda: trial.reports)
        trial.directive = "prune"
        server.wait_until(lambda: ended(trial))
    assert trial.state == "PRUNED"
    assert trial.value == trial.reports[max(trial.reports)]["metrics"]["val_accuracy"]
    assert max(trial.reports) < 22_999


def test_a_cancelled_trial_stops_without_a_result(tmp_path: Path) -> None:
    trial, after = FakeTrial("t1"), FakeTrial("t2")
    with FakeServer(trial, task=LONG_TASK) as server, working(server, tmp_path):
        server.wait_until(lambda: trial.reports)
        server.task = {"name": "digits", "params": {"epochs": 1}}
        server.trials["t2"] = after
        trial.directive, trial.state = "cancel", "CANCELLED"
        server.wait_until(lambda: ended(after))
    assert trial.finishes == 0
    assert not list(tmp_path.iterdir())


def test_a_lost_lease_is_dropped_and_the_worker_claims_anew(tmp_path: Path) -> None:
    trial, after = FakeTrial("t1"), FakeTrial("t2")
    with FakeServer(trial, task=LONG_TASK) as server, working(server, tmp_path):
        server.wait_until(lambda: trial.reports)
        with server.lock:
            server.task = {"name": "digits", "params": {"epochs": 1}}
            server.trials["t2"] = after
            trial.lease_id, trial.attempt = "another", 2
        server.wait_until(lambda: ended(after))
    assert trial.finishes == 0
    assert trial.state == "RUNNING"


def test_a_lease_that_no_longer_exists_counts_as_lost(tmp_path: Path) -> None:
    trial, after = FakeTrial("t1"), FakeTrial("t2")
    with FakeServer(trial, task=LONG_TASK) as server, working(server, tmp_path):
        server.wait_until(lambda: trial.reports)
        with server.lock:
            server.task = {"name": "digits", "params": {"epochs": 1}}
            server.trials["t2"] = after
            server.refusals["report"] = deque([404])
        server.wait_until(lambda: ended(after))
    assert trial.finishes == 0


def test_a_report_the_server_refuses_fails_the_trial_with_what_it_said(tmp_path: Path) -> None:
    trial = FakeTrial("t1")
    with FakeServer(trial, task=LONG_TASK) as server:
        server.refusals["report"] = deque([422])
        with working(server, tmp_path):
            server.wait_until(lambda: ended(trial))
    assert trial.state == "FAILED"
    assert "422 refused: by the test" in str(trial.error)


def test_a_refused_claim_ends_the_worker(tmp_path: Path) -> None:
    with FakeServer() as server:
        server.refusals["leases"] = deque([422])
        with pytest.raises(ServerError, match="422"):
            work_until_claimed(server, tmp_path)


def test_beats_go_on_while_the_worker_trains(tmp_path: Path) -> None:
    trial = FakeTrial("t1")
    with FakeServer(trial, task=LONG_TASK) as server:
        server.beat_seconds = 0.1
        server.lease_seconds = 0.5
        with working(server, tmp_path):
            server.wait_until(lambda: len(trial.beats) > 15)
    # Three leases' time went by and nobody else was given the trial.
    assert trial.attempt == 1
    assert max(b - a for a, b in pairwise(trial.beats)) < 0.5


def test_a_beat_prunes_too(tmp_path: Path) -> None:
    trial = FakeTrial("t1")
    params = {"model": "cnn", "epochs": 1000, "batch_size": 2048, "hidden": 4096}
    with FakeServer(trial, task={"name": "digits", "params": params}) as server:
        server.beat_seconds = 0.05
        trial.directive = "prune"
        with working(server, tmp_path):
            server.wait_until(lambda: ended(trial))
    assert trial.state == "PRUNED"


def test_a_beat_that_fails_is_retried(tmp_path: Path) -> None:
    trial = FakeTrial("t1")
    with FakeServer(trial, task=LONG_TASK) as server:
        server.beat_seconds = 0.1
        server.refusals["renew"] = deque([503, 500, 503])
        with working(server, tmp_path):
            server.wait_until(lambda: len(trial.beats) > 2)
            server.lost_replies["renew"] = 2
            before = len(trial.beats)
            server.wait_until(lambda: len(trial.beats) > before + 4)
    assert trial.attempt == 1


def test_a_drained_worker_gives_back_and_the_next_one_goes_on_to_the_same_curve(tmp_path: Path) -> None:
    trial = FakeTrial("t1")
    with FakeServer(trial, task={"name": "digits", "params": {"epochs": 60}}) as server:
        with working(server, tmp_path):
            server.wait_until(lambda: len(trial.reports) > 5)
        assert (trial.releases, trial.finishes, trial.state) == (1, 0, "WAITING")
        assert Path(str(trial.checkpoint)).match(str(tmp_path / "t1.*.pt"))
        already = len(trial.reports)
        with working(server, tmp_path):
            server.wait_until(lambda: ended(trial))
    expected = train(new_run({"epochs": 60}, schedule_from_dict(COSINE)))
    assert [trial.reports[step] for step in sorted(trial.reports)] == [report.model_dump() for report in expected]
    assert trial.attempt == 2
    assert already < 60
    assert not list(tmp_path.iterdir()), "a finished trial leaves no checkpoint"


def test_a_trial_not_begun_is_given_back_too(tmp_path: Path) -> None:
    trials = [FakeTrial("t1"), FakeTrial("t2")]
    with FakeServer(*trials, task=LONG_TASK) as server, working(server, tmp_path, max_trials=2):
        server.wait_until(lambda: trials[0].reports)
    assert [(trial.state, trial.releases) for trial in trials] == [("WAITING", 1), ("WAITING", 1)]


def test_reports_under_way_when_the_worker_was_killed_are_sent_by_the_next_one(tmp_path: Path) -> None:
    trial = FakeTrial("t1")
    with FakeServer(trial, task={"name": "digits", "params": {"epochs": 60}}) as server:
        with working(server, tmp_path, checkpoint_seconds=0.05) as drain:
            server.wait_until(lambda: trial.reports)
            server.down = True
            time.sleep(0.5)
            drain.overdue.set()
        assert trial.releases == 0
        known = len(trial.reports)
        server.down = False
        trial.state, trial.lease_id = "WAITING", None
        with working(server, tmp_path):
            server.wait_until(lambda: ended(trial))
    assert known < 60
    assert sorted(trial.reports) == [23 * epoch - 1 for epoch in range(1, 61)]

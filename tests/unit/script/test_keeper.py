"""The thread that renews a script's lease, against a server whose faults the test chooses."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lehr.client import Client
from lehr.script import ScriptTrial
from lehr.wire.leases import Claim, WorkerInfo
from tests.unit.workers.fake_server import FakeServer, FakeTrial

WORKER = WorkerInfo(id="s-1", name="test", device="script", tasks=["script:x"])


@contextmanager
def open_trial(server: FakeServer) -> Iterator[ScriptTrial]:
    with Client(server.url, retry=None, timeout=5) as client:
        lease = client.claim(Claim(worker=WORKER))
        assert lease is not None
        trial = ScriptTrial(client, lease, 10)
        yield trial
        trial.end()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(FakeTrial("t-0")) as started:
        yield started


def test_the_lease_is_renewed_for_as_long_as_the_training_takes(server: FakeServer) -> None:
    server.beat_seconds, server.lease_seconds = 0.05, 0.2
    with open_trial(server) as trial:
        time.sleep(0.6)
        assert not trial.should_stop
        trial.report(9, {"val_accuracy": 0.5})
    kept = server.trials["t-0"]
    assert (kept.state, kept.value, kept.attempt) == ("COMPLETED", 0.5, 1)
    assert len(kept.beats) >= 4


@pytest.mark.parametrize(("step", "state"), [(3, "PRUNED"), (9, "COMPLETED")])
def test_a_pruned_trial_stops_and_counts_as_pruned_unless_it_was_done(
    server: FakeServer, step: int, state: str
) -> None:
    server.trials["t-0"].directive = "prune"
    with open_trial(server) as trial:
        trial.report(step, {"val_accuracy": 0.5}, checkpoint="/saved")
        server.wait_until(lambda: trial.should_stop)
    kept = server.trials["t-0"]
    assert (kept.state, kept.value, kept.checkpoint) == (state, 0.5, "/saved")


def test_reports_and_results_arrive_once_though_answers_are_lost(server: FakeServer) -> None:
    server.lost_replies.update(report=2, finish=2, renew=2)
    server.refusals["finish"] = deque([503, 500])
    with open_trial(server) as trial:
        for step in range(10):
            trial.report(step, {"val_accuracy": step / 10}, train_loss=1.0)
    kept = server.trials["t-0"]
    assert sorted(kept.reports) == list(range(10))
    assert (kept.state, kept.value) == ("COMPLETED", 0.9)


def test_a_lost_lease_stops_the_training_and_records_nothing(server: FakeServer) -> None:
    with open_trial(server) as trial:
        server.trials["t-0"].lease_id = "another's"
        trial.report(0, {"val_accuracy": 0.5})
        server.wait_until(lambda: trial.should_stop)
        trial.report(1, {"val_accuracy": 0.6})
    assert server.trials["t-0"].reports == {}
    assert server.calls["finish"] == 0


def test_a_report_that_the_server_refuses_is_the_trials_failure(server: FakeServer) -> None:
    server.refusals["report"] = deque([422])
    with open_trial(server) as trial:
        trial.report(0, {"val_accuracy": 0.5})
        server.wait_until(lambda: server.calls["report"] == 1)
    kept = server.trials["t-0"]
    assert kept.state == "FAILED"
    assert "by the test" in (kept.error or "")

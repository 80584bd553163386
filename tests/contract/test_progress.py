"""The progress of trials that workers send is stored and shown, without extra queries for other calls."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.contract.test_leases import expire, post_study, trials
from tests.support.ledgers import FakeClock, FakeWorker, named

TOLD = {
    "steps_done": 40,
    "horizon_steps": 100,
    "steps_per_second": 12.5,
    "device_memory_bytes": 3_000_000_000,
    "device_utilisation": 0.75,
}


def beat(worker: FakeWorker, lease: dict[str, Any], **progress: Any) -> Any:
    return worker.renew(lease, [{**trial, "progress": {**TOLD, **progress}} for trial in lease["trials"]])


def leased(client: TestClient, worker: FakeWorker, **changes: Any) -> tuple[str, dict[str, Any]]:
    study_id = post_study(client, **changes)
    lease = worker.claim()
    assert lease is not None
    return study_id, lease


def progress(client: TestClient, study_id: str) -> Any:
    return client.get(f"/v1/studies/{study_id}/trials/0").json()["progress"]


def test_a_beat_tells_how_a_trial_goes(client: TestClient, worker: FakeWorker, clock: FakeClock) -> None:
    study_id, lease = leased(client, worker)
    assert progress(client, study_id) is None, "nothing was told yet"
    clock.advance(15)
    assert beat(worker, lease).status_code == 200
    assert progress(client, study_id) == {**TOLD, "at": "2026-01-01T00:00:15Z"}
    assert worker.renew(lease).status_code == 200
    assert progress(client, study_id)["steps_done"] == 40, "a worker that tells nothing takes nothing back"


def test_a_report_and_a_result_may_tell_it_too(client: TestClient, worker: FakeWorker) -> None:
    study_id, lease = leased(client, worker)
    assert worker.report(lease, 40, 0.5, progress={**TOLD, "steps_per_second": None}).status_code == 200
    assert progress(client, study_id)["steps_per_second"] is None
    assert worker.finish(lease, progress={**TOLD, "steps_done": 100}).status_code == 200
    assert progress(client, study_id)["steps_done"] == 100


def test_a_list_of_workers_says_what_each_trains(client: TestClient, worker: FakeWorker) -> None:
    study_id, lease = leased(client, worker)
    worker.report(lease, 20, 0.5)
    beat(worker, lease)
    (seen,) = client.get("/v1/workers").json()["items"]
    assert seen["running_trials"] == 1
    (training,) = seen["training"]
    family = lease["trials"][0]["schedule"]["family"]
    about = {"study_id": study_id, "trial": lease["trials"][0]["trial"], "number": 0, "family": family}
    assert training == about | {
        "step": 20,
        "horizon_steps": 100,
        "progress": {**TOLD, "at": "2026-01-01T00:00:00Z"},
    }
    worker.finish(lease)
    assert client.get("/v1/workers").json()["items"][0]["training"] == []


def test_of_a_large_cohort_the_first_sixteen_are_told(client: TestClient, worker: FakeWorker) -> None:
    post_study(client, budget={"trials": 20, "parallel": 20})
    lease = worker.claim(max_trials=20)
    assert lease is not None
    (seen,) = client.get("/v1/workers").json()["items"]
    assert seen["running_trials"] == 20
    assert [training["number"] for training in seen["training"]] == list(range(16))


def test_progress_is_no_change_that_a_follower_is_woken_for(client: TestClient, worker: FakeWorker) -> None:
    study_id, lease = leased(client, worker)
    before = client.get(f"/v1/studies/{study_id}").json()["revision"]
    beat(worker, lease)
    assert trials(client, study_id, after=before) == []


def test_another_attempt_begins_without_what_was_told_of_the_one_before(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    study_id, lease = leased(client, worker)
    beat(worker, lease)
    expire(client, clock)
    assert progress(client, study_id) is None
    assert beat(worker, lease).status_code == 409, "a stale attempt is not heard"
    again = worker.claim()
    assert again is not None
    assert named(again["trials"][0]) == {"trial": lease["trials"][0]["trial"], "attempt": 2}
    assert progress(client, study_id) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps_done": -1},
        {"horizon_steps": 0},
        {"steps_per_second": -0.5},
        {"device_memory_bytes": 1.5},
        {"device_utilisation": 75},
        {"speed": 3},
    ],
)
def test_progress_that_cannot_be_is_refused_by_name(
    client: TestClient, worker: FakeWorker, wrong: dict[str, Any]
) -> None:
    _, lease = leased(client, worker)
    entry = {**named(lease["trials"][0]), "progress": {**TOLD, **wrong}}
    answer = client.post(f"/v1/leases/{lease['lease_id']}/renew", json={"trials": [entry]})
    assert answer.status_code == 422
    assert f"trials[0].progress.{next(iter(wrong))}" in answer.text

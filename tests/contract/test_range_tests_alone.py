"""A range test alone: a study that never searches."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.contract.test_range_tests import STEPS, sweep_all
from tests.support.ledgers import FakeWorker, study_spec

REQUEST = {"name": "where", "task": {"name": "digits", "params": {"model": "mlp"}}, "steps": STEPS, "seeds": 2}


def test_it_is_posted_swept_and_read(client: TestClient, worker: FakeWorker) -> None:
    answer = client.post("/v1/range-tests", json=REQUEST, headers={"Idempotency-Key": "once"})
    assert answer.status_code == 201, answer.text
    posted = answer.json()
    place = answer.headers["Location"]
    assert client.get(place).json() == posted
    again = client.post("/v1/range-tests", json=REQUEST, headers={"Idempotency-Key": "once"}).json()
    assert again["range_test_id"] == posted["range_test_id"]
    assert (posted["state"], posted["result"], posted["sweeps"]) == ("QUEUED", None, {"WAITING": 2})
    assert posted["range_test"] == {"low": 1e-6, "high": 10.0, "steps": STEPS, "seeds": 2}
    sweep_all(worker)
    found = client.get(place).json()
    assert (found["state"], found["sweeps"]) == ("COMPLETED", {"DIVERGED": 2})
    assert found["result"]["bounds"]["low"] < found["result"]["minimum"]["lr"] < found["result"]["bounds"]["high"]
    assert worker.claim() is None, "nothing is searched"


def test_it_is_no_study_in_lists_and_obeys_like_one(client: TestClient, worker: FakeWorker) -> None:
    one = client.post("/v1/range-tests", json=REQUEST).json()["range_test_id"]
    assert client.get("/v1/studies").json()["items"] == []
    assert client.post(f"/v1/studies/{one}/pause").json()["state"] == "PAUSED"
    assert worker.claim() is None
    client.post(f"/v1/studies/{one}/resume")
    sweep_all(worker, max_trials=1)
    assert client.post(f"/v1/studies/{one}/cancel").json()["state"] == "CANCELLED"
    assert client.get(f"/v1/range-tests/{one}").json()["sweeps"] == {"CANCELLED": 1, "DIVERGED": 1}
    assert client.get(f"/v1/studies/{one}/best").status_code == 409
    assert client.delete(f"/v1/studies/{one}").status_code == 204
    assert client.get(f"/v1/range-tests/{one}").status_code == 404


def test_sweeps_that_show_nothing_are_a_failure_with_its_reason(client: TestClient, worker: FakeWorker) -> None:
    one = client.post("/v1/range-tests", json=REQUEST).json()["range_test_id"]
    sweep_all(worker, "FAILED")
    found = client.get(f"/v1/range-tests/{one}").json()
    assert (found["state"], found["result"]["found"]) == ("FAILED", False)
    assert "2 sweeps" in found["reason"]


def test_a_task_whose_metrics_have_no_validation_loss_is_swept_too(client: TestClient, worker: FakeWorker) -> None:
    worker.tasks = [{"name": "digits", "metrics": ["score"]}]
    assert worker.claim() is None
    client.post("/v1/range-tests", json=REQUEST)
    lease = worker.claim()
    assert lease is not None
    assert lease["study"]["objective"]["metric"] == "score"


def test_a_study_without_one_has_none(client: TestClient) -> None:
    study = client.post("/v1/studies", json=study_spec()).json()["study_id"]
    answer = client.get(f"/v1/range-tests/{study}")
    assert answer.status_code == 404
    assert "range" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"task": {}}, "task.name"),
        ({"steps": 1e9}, "steps"),
        ({"low": 20}, "high"),
        ({"high": "ten"}, "high"),
        ({"budget": {"trials": 3}}, "budget"),
    ],
)
def test_bad_requests_are_refused(client: TestClient, changes: dict[str, Any], field: str) -> None:
    answer = client.post("/v1/range-tests", json={**REQUEST, **changes})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field

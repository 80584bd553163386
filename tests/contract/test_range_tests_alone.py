"""A standalone range test: a study that never searches."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from starlette.testclient import TestClient

from tests.contract.test_range_tests import STEPS, sweep_all
from tests.support.ledgers import UNKNOWN_TASK, FakeClock, FakeWorker, study_spec

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
    assert found["result"]["bounds"] is None
    assert found["reason"] == "all 2 sweeps of the range test failed: no such data"


def test_a_task_whose_metrics_have_no_validation_loss_is_swept_too(client: TestClient, worker: FakeWorker) -> None:
    worker.tasks = [{"name": UNKNOWN_TASK["name"], "metrics": ["score"]}]
    assert worker.claim() is None
    client.post("/v1/range-tests", json={**REQUEST, "task": UNKNOWN_TASK})
    lease = worker.claim()
    assert lease is not None
    assert lease["study"]["objective"]["metric"] == "score"


@pytest.mark.parametrize("metrics", [[], ["steps_to_target"]])
def test_a_task_that_reports_no_metric_is_refused(client: TestClient, worker: FakeWorker, metrics: list[str]) -> None:
    early = client.post("/v1/range-tests", json={**REQUEST, "task": {"name": "my:task", "params": {}}}).json()
    worker.tasks = [{"name": "my:task", "metrics": metrics}]
    assert worker.claim() is None
    answer = client.post("/v1/range-tests", json={**REQUEST, "task": {"name": "my:task", "params": {}}})
    assert answer.status_code == 422, answer.text
    (fault,) = answer.json()["errors"]
    assert (fault["field"], fault["value"]) == ("task.name", "my:task")
    assert fault["bound"]
    assert fault["remedy"]
    found = client.get(f"/v1/range-tests/{early['range_test_id']}").json()
    assert found["state"] == "FAILED"
    assert "reports no metric" in found["reason"]


def test_the_servers_own_count_of_steps_is_not_taken_for_a_metric(client: TestClient, worker: FakeWorker) -> None:
    worker.tasks = [{"name": UNKNOWN_TASK["name"], "metrics": ["steps_to_target", "score"]}]
    assert worker.claim() is None
    assert client.post("/v1/range-tests", json={**REQUEST, "task": UNKNOWN_TASK}).status_code == 201
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


def test_lists_of_them_come_page_by_page_the_newest_first(client: TestClient, clock: FakeClock) -> None:
    client.post("/v1/studies", json=study_spec())
    made = []
    for _ in range(3):
        clock.advance(1)
        made.append(client.post("/v1/range-tests", json=REQUEST).json()["range_test_id"])
    client.post(f"/v1/studies/{made[0]}/cancel")
    first = client.get("/v1/range-tests", params={"limit": 2}).json()
    assert [one["range_test_id"] for one in first["items"]] == [made[2], made[1]]
    assert first["items"][0]["sweeps"] == {"WAITING": 2}
    rest = client.get("/v1/range-tests", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert ([one["range_test_id"] for one in rest["items"]], rest["next_cursor"]) == ([made[0]], None)
    cancelled = client.get("/v1/range-tests", params={"state": "CANCELLED"}).json()["items"]
    assert [one["range_test_id"] for one in cancelled] == [made[0]]
    for params in ({"cursor": "x"}, {"limit": 0}, {"state": "GONE"}, {"order": "name"}):
        assert client.get("/v1/range-tests", params=params).status_code == 422, params


def test_its_curve_is_a_picture_for_who_asks_for_one(client: TestClient, worker: FakeWorker) -> None:
    name = "a <b> & c"
    one = client.post("/v1/range-tests", json={**REQUEST, "name": name}).json()["range_test_id"]
    as_picture = {"Accept": "image/svg+xml"}
    assert client.get(f"/v1/range-tests/{one}", headers=as_picture).status_code == 409
    sweep_all(worker)
    answer = client.get(f"/v1/range-tests/{one}", headers=as_picture)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.headers["Vary"] == "Accept"
    drawn = ElementTree.fromstring(answer.content)
    texts = [each.text or "" for each in drawn.iter() if each.text]
    assert any(name in text for text in texts)
    result = client.get(f"/v1/range-tests/{one}").json()["result"]
    for point in ("steepest", "valley", "minimum", "divergence"):
        assert any(text.startswith(f"{point} ") for text in texts) == (result[point] is not None)
    numbers = [float(each) for path in drawn.iter() for each in re.findall(r"[\d.]+", path.get("d", ""))]
    assert all(0 <= each <= 720 for each in numbers)
    assert client.get(f"/v1/range-tests/{one}", headers={"Accept": "text/html"}).status_code == 406


def test_one_that_showed_nothing_says_so_in_its_picture(client: TestClient, worker: FakeWorker) -> None:
    one = client.post("/v1/range-tests", json=REQUEST).json()["range_test_id"]
    sweep_all(worker, "FAILED")
    answer = client.get(f"/v1/range-tests/{one}", headers={"Accept": "image/svg+xml"})
    assert "2 sweeps" in "".join(ElementTree.fromstring(answer.content).itertext())

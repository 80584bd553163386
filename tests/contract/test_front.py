"""How good against how soon, over HTTP, on both databases."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.contract.test_studies import create
from tests.support.ledgers import FakeWorker


def test_the_front_goes_from_the_soonest_to_the_best(client: TestClient, worker: FakeWorker) -> None:
    url = f"/v1/studies/{create(client)['study_id']}/front"
    assert client.get(url, params={"target": 0.5}).json()["items"] == []
    # Reached at step 20 and ended at .7; at 50 and .9; at 60 and .8, which the second beats; and never.
    for step, value in ((19, 0.7), (49, 0.9), (59, 0.8), (9, 0.4)):
        lease = worker.claim()
        assert lease is not None
        worker.report(lease, step, value)
        worker.finish(lease, value=value)
    front = client.get(url, params={"target": 0.5}).json()
    assert [(item["trial"], item["steps"], item["value"]) for item in front["items"]] == [(0, 20, 0.7), (1, 50, 0.9)]
    assert (front["reached"], front["examined"]) == (3, 4)


def test_a_front_needs_a_finite_target_and_a_study(client: TestClient) -> None:
    url = f"/v1/studies/{create(client)['study_id']}/front"
    for params in ({}, {"target": "nan"}, {"target": "inf"}, {"target": "high"}):
        assert client.get(url, params=params).status_code == 422, params
    assert client.get("/v1/studies/none/front", params={"target": 1}).status_code == 404

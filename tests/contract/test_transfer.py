"""The best schedule rescaled to another training, over HTTP, on both databases."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tests.contract.test_studies import create
from tests.support.ledgers import FakeWorker

TASK = {"name": "any:task", "params": {"model": "mlp", "optimizer": "sgd", "batch_size": 64}}


def test_the_best_schedule_is_moved_with_its_rule_and_source(client: TestClient, worker: FakeWorker) -> None:
    url = f"/v1/studies/{create(client, task=TASK)['study_id']}"
    assert client.post(f"{url}/transfer", json={"batch_size": 128}).status_code == 409
    lease = worker.claim()
    assert lease is not None
    worker.report(lease, 99, 0.5)
    worker.finish(lease)
    moved = client.post(f"{url}/transfer", json={"batch_size": 128}).json()
    best = client.get(f"{url}/best").json()
    assert moved["origin"] == best["schedule"]
    assert moved["schedule"]["start_lr"] == pytest.approx(2 * best["schedule"]["start_lr"])
    assert moved["horizon_steps"] == 50
    assert moved["rescalings"][0]["source"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 128, "batch_rule": "cubic"}, "batch_rule"),
        ({"width": 512}, "origin.width"),
        ({"width": "wide"}, "width"),
        ({"length": 5}, "length"),
        ({"horizon_steps": 1e300}, "horizon_steps"),
    ],
)
def test_what_cannot_be_moved_is_refused_by_field(
    client: TestClient, worker: FakeWorker, body: dict[str, object], field: str
) -> None:
    url = f"/v1/studies/{create(client, task=TASK)['study_id']}"
    lease = worker.claim()
    assert lease is not None
    worker.report(lease, 99, 0.5)
    worker.finish(lease)
    answer = client.post(f"{url}/transfer", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field


def test_there_is_no_transfer_of_what_does_not_exist(client: TestClient) -> None:
    assert client.post("/v1/studies/none/transfer", json={"batch_size": 8}).status_code == 404

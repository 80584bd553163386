"""Calls on leases are counted, timed and validated like every other call."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from tests.support.ledgers import FakeWorker, study_spec

ROUTE = "/v1/leases/{lease_id}/report"


def answered(client: TestClient, status: int) -> float:
    line = rf'lehr_http_requests_total{{method="POST",route="{re.escape(ROUTE)}",status="{status}"}} (\S+)'
    found = re.search(line, client.get("/metrics").text)
    return float(found[1]) if found else 0.0


def timed(client: TestClient) -> float:
    line = rf'lehr_http_request_seconds_count{{method="POST",route="{re.escape(ROUTE)}"}} (\S+)'
    found = re.search(line, client.get("/metrics").text)
    return float(found[1]) if found else 0.0


def test_each_report_is_counted_with_its_status_and_timed_once(client: TestClient, worker: FakeWorker) -> None:
    client.post("/v1/studies", json=study_spec())
    lease = worker.claim()
    assert lease is not None
    assert worker.report(lease, 5, 0.3).status_code == 200
    assert worker.report(lease, 6, 0.3).status_code == 200
    assert worker.report({**lease, "lease_id": "unknown"}, 7, 0.3).status_code == 409
    assert worker.report(lease, -1, 0.3).status_code == 422
    assert [answered(client, status) for status in (200, 409, 422)] == [2, 1, 1]
    assert timed(client) == 4


@pytest.mark.parametrize("verb", ["renew", "report", "finish", "release"])
@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8"])
def test_a_faulty_call_is_refused_with_a_problem_document(client: TestClient, verb: str, kind: str) -> None:
    path, headers = f"/v1/leases/abc/{verb}", {"content-type": kind}
    broken = client.post(path, content=b'{"trials": [}', headers=headers)
    assert (broken.status_code, broken.json()["type"]) == (400, "urn:lehr:problem:bad-request")
    empty = client.post(path, content=b'{"trials": []}', headers=headers)
    assert (empty.status_code, empty.json()["errors"][0]["field"]) == (422, "trials")
    entry = b'{"trial": "t", "attempt": 1, "state": "FAILED"}' if verb == "finish" else b'{"trial": "t", "attempt": 1}'
    entry = entry[:-1] + b', "horizon_steps": 1, "reports": []}' if verb == "report" else entry
    lost = client.post(path, content=b'{"trials": [' + entry + b"]}", headers=headers)
    assert (lost.status_code, lost.json()["type"]) == (409, "urn:lehr:problem:lost")
    long = client.post(path, content=b'{"trials": "' + b"x" * (17 * 2**20) + b'"}', headers=headers)
    assert (long.status_code, long.headers["content-type"]) == (413, "application/problem+json")

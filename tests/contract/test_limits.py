"""Every limit on a request is answered with its bound, the value and a remedy, and nothing is created."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support.ledgers import FakeWorker, study_spec

JSON_TYPE = {"Content-Type": "application/json"}
MIB = 2**20


def refused(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 64 * 1024
    problem: dict[str, Any] = answer.json()
    for fault in problem["errors"]:
        assert fault["bound"]
        assert fault["remedy"]
    return problem


def post(client: TestClient, path: str, body: str) -> Any:
    return client.post(path, content=body.encode(), headers=JSON_TYPE)


def test_twenty_faults_at_most_are_listed_and_the_rest_counted(client: TestClient) -> None:
    problem = refused(client.post("/v1/studies", json={**study_spec(), **{f"x{n}": 1 for n in range(100)}}), 422)
    assert len(problem["errors"]) == 20
    assert problem["detail"].endswith("and 97 more")


def test_an_object_of_a_great_many_keys_is_refused_before_it_is_checked(client: TestClient) -> None:
    body = json.dumps({f"k{n}": 1 for n in range(50_000)})
    (fault,) = refused(post(client, "/v1/studies", body), 422)["errors"]
    assert fault["bound"] == "at most 1000 keys in one object"
    assert fault["value"] == 50_000


@pytest.mark.parametrize("key", ["x" * 500_000, "\\u202e" * 80_000, "{" * 500_000], ids=["long", "escaped", "braces"])
def test_what_was_sent_is_repeated_in_part_only(client: TestClient, key: str) -> None:
    refused(post(client, "/v1/studies", f'{{"{key}": ["{key[:399_996]}"]}}'), 422)


@pytest.mark.parametrize("number", ["1e999", "NaN", "9" * 400, "-Infinity", '{"a":' * 5 + "1" + "}" * 5])
def test_a_body_full_of_values_that_cannot_be_kept_is_refused_fast(client: TestClient, number: str) -> None:
    copies = 14 * MIB // (len(number) + 1)
    started = time.perf_counter()
    problem = refused(post(client, "/v1/leases/abc/report", '{"x": [' + ",".join([number] * copies) + "]}"), 422)
    assert time.perf_counter() - started < 10
    assert 1 <= len(problem["errors"]) <= 20


def test_a_batch_in_which_everything_is_wrong_costs_little_memory(client: TestClient) -> None:
    faulty = ",".join(['{"a":1}'] * 9000)
    entry = '{"trial": "t%d", "attempt": 1, "horizon_steps": 1, "reports": [' + faulty + "]}"
    body = '{"trials": [' + ",".join(entry % n for n in range(200)) + "]}"
    tracemalloc.start()
    try:
        refused(post(client, "/v1/leases/abc/report", body), 422)
        assert tracemalloc.get_traced_memory()[1] < 1500 * MIB
    finally:
        tracemalloc.stop()


def test_a_body_longer_than_a_megabyte_is_refused_with_the_setting(client: TestClient) -> None:
    body = json.dumps(study_spec(name="x" * MIB))
    (fault,) = refused(post(client, "/v1/studies", body), 413)["errors"]
    assert fault["bound"] == "at most 1048576 bytes"
    assert fault["value"] == f"{len(body)} bytes"
    assert "LEHR_MAX_BODY_BYTES" in fault["remedy"]


@pytest.mark.parametrize("verb", ["report", "finish"])
def test_reports_and_results_may_take_sixteen_megabytes(client: TestClient, verb: str) -> None:
    assert refused(post(client, f"/v1/leases/abc/{verb}", '{"x": "' + "x" * (15 * MIB) + '"}'), 422)
    problem = refused(post(client, f"/v1/leases/abc/{verb}", '{"x": "' + "x" * (16 * MIB) + '"}'), 413)
    assert "LEHR_MAX_REPORT_BYTES" in problem["errors"][0]["remedy"]


def test_a_body_of_unannounced_length_is_refused_when_it_is_too_long(client: TestClient) -> None:
    chunks = (b"x" * 65_536 for _ in range(32))
    problem = refused(client.post("/v1/studies", content=chunks, headers=JSON_TYPE), 413)
    assert problem["errors"][0]["value"] == "more than 1048576 bytes"


@pytest.mark.parametrize("path", ["/v1/studies", "/v1/range-tests"])
def test_parameters_of_a_task_take_64_kilobytes(client: TestClient, path: str) -> None:
    def with_text(size: int) -> dict[str, Any]:
        spec = study_spec(task={"name": "my-task", "params": {"text": "x" * size}})
        return spec if path == "/v1/studies" else {"task": spec["task"]}

    assert client.post(path, json=with_text(65_536 - len('{"text":""}'))).status_code == 201
    (fault,) = refused(client.post(path, json=with_text(65_537 - len('{"text":""}'))), 422)["errors"]
    assert (fault["field"], fault["value"]) == ("task.params", "65537 bytes")
    assert fault["bound"] == "at most 65536 bytes as JSON"


def test_a_large_report_is_kept_whole(client: TestClient, worker: FakeWorker) -> None:
    study_id = client.post("/v1/studies", json=study_spec()).json()["study_id"]
    lease = worker.claim()
    assert lease is not None
    reports = [{"step": step, "lr": 0.1, "metrics": {"val_accuracy": 0.5}} for step in range(5000)]
    entry = {"trial": lease["trials"][0]["trial"], "attempt": 1, "horizon_steps": 5000, "reports": reports}
    body = json.dumps({"trials": [entry]})
    assert post(client, f"/v1/leases/{lease['lease_id']}/report", body).status_code == 200
    assert len(client.get(f"/v1/studies/{study_id}/trials/0/curve").json()["step"]) == 5000


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/studies", "GET, POST"),
        ("/v1/studies/abc", "DELETE, GET"),
        ("/v1/studies/abc/trials", "GET, POST"),
        ("/v1/studies/abc/pause", "POST"),
        ("/v1/leases", "POST"),
        ("/v1/leases/abc/report", "POST"),
        ("/healthz", "GET"),
    ],
)
def test_a_method_that_a_path_does_not_have_is_told_all_that_it_has(
    client: TestClient, path: str, methods: str
) -> None:
    answer = client.request("PUT", path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == methods
    assert answer.json()["type"] == "urn:lehr:problem:method-not-allowed"

"""A worker's schema is untrusted input: it fetches nothing, stalls nothing, and is validated when it is offered."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.offers.offered_schemas import schema_faults
from tests.support.ledgers import study_spec
from workers.tasks.registry import TASKS, offers

CHAIN = {f"d{at}": {"$ref": f"#/$defs/d{at + 1}"} for at in range(60)} | {"d60": {}}
TRIPLED = {f"d{at}": {"allOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 3} for at in range(14)} | {"d14": {"type": "object"}}


LONG = {f"d{at}": {"$ref": f"#/$defs/d{at + 1}"} for at in range(900)} | {"d900": {}}


def offer(client: TestClient, *schemas: Any, task: str = "own:task") -> Any:
    tasks = [{"name": f"{task}{at or ''}", "params_schema": schema} for at, schema in enumerate(schemas)]
    claim = {"worker": {"id": "w", "name": "w", "device": "cpu", "tasks": tasks}, "max_trials": 1, "wait_seconds": 0}
    return client.post("/v1/leases", json=claim)


def post(client: TestClient, **params: Any) -> Any:
    return client.post("/v1/studies", json=study_spec(task={"name": "own:task", "params": params}))


@pytest.fixture
def fetched() -> Iterator[tuple[str, list[str]]]:
    """A server's address, and what was asked of it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/schema.json", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_nothing_is_fetched_for_a_schema(client: TestClient, fetched: tuple[str, list[str]]) -> None:
    address, asked = fetched
    for keyword in ("$ref", "$dynamicRef", "$schema", "$id"):
        answer = offer(client, {"properties": {"a": {keyword: address}}})
        assert answer.status_code == 422, keyword
    assert post(client, a=1).status_code == 201
    assert asked == []


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({"$schema": []}, "$schema"),
        ({"$ref": "#"}, ""),
        ({"$ref": 3}, "$ref"),
        ({"$ref": "#/$defs/a", "$defs": {"a": 3}}, "$defs.a"),
        ({"$ref": "#/properties/a", "properties": {"a": {}}}, "$ref"),
        ({"$ref": "file:///etc/hostname"}, "$ref"),
        ({"$ref": "file:///dev/zero"}, "$ref"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}, ""),
        ({"properties": {"a": {"$ref": "#/nowhere"}}}, "properties.a.$ref"),
        ({"properties": []}, "properties"),
        ({"properties": {"a": 3}}, "properties.a"),
        ({"pattern": "("}, "pattern"),
        ({"pattern": "(?=a)b"}, "pattern"),
        ({"pattern": r"(a)\1"}, "pattern"),
        ({"pattern": r"(\w{90}){900}"}, "pattern"),
        ({"pattern": "a" * 501}, "pattern"),
        ({"patternProperties": {"^(a+)+$": {}}}, "patternProperties"),
        ({"unevaluatedProperties": False}, "unevaluatedProperties"),
        ({"type": "nonsense"}, "type"),
        ({"type": []}, "type"),
        ({"required": "a"}, "required"),
        ({"enum": 3}, "enum"),
        ({"multipleOf": 0}, "multipleOf"),
        ({"minimum": "3"}, "minimum"),
        ({"maxLength": -1}, "maxLength"),
        ({"allOf": {}}, "allOf"),
        ({"anyOf": []}, "anyOf"),
        ({"items": [3]}, "items"),
        ({"$ref": "#/$defs/d0", "$defs": CHAIN}, ""),
        ({"$defs": LONG}, ""),
        ({"title": "x" * 65_536}, ""),
    ],
)  # fmt: skip
def test_a_schema_that_the_server_does_not_take_is_refused_where_it_is_offered(
    client: TestClient, schema: Any, field: str
) -> None:
    answer = offer(client, schema)
    assert answer.status_code == 422, answer.text
    fault = answer.json()["errors"][0]
    assert fault["field"] == f"worker.tasks[0].params_schema{'.' if field else ''}{field}"
    assert fault["bound"]
    assert fault["remedy"]


def test_an_unknown_keyword_suggests_the_known_one(client: TestClient) -> None:
    (fault,) = offer(client, {"properties": {"a": {"minimun": 3}}}).json()["errors"]
    assert "Did you mean minimum?" in fault["remedy"]


def test_the_schemas_of_a_claim_are_bounded_together(client: TestClient) -> None:
    schema = {"title": "x" * 60_000}
    assert offer(client, *[schema] * 4).status_code == 204
    answer = offer(client, *[schema] * 5)
    assert answer.status_code == 422
    assert "262144 bytes" in answer.json()["errors"][0]["bound"]


@pytest.mark.parametrize(
    ("schema", "params", "is_valid"),
    [
        ({"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 5000 + "!"}, False),
        ({"properties": {"a": {"pattern": "^(a|a)*$"}}}, {"a": "a" * 5000}, True),
        ({"properties": {"a": {"uniqueItems": True}}}, {"a": [{"b": at} for at in range(2000)]}, True),
        ({"properties": {"a": {"uniqueItems": True}}}, {"a": [{"b": 1}, {"b": 1.0}]}, False),
        ({"properties": {"a": {"uniqueItems": True}}}, {"a": [1, True, "1"]}, True),
        ({"$ref": "#/$defs/d0", "$defs": TRIPLED}, {"a": 1}, False),
        ({"properties": {"a": {"items": {"allOf": [{"type": "integer"}] * 1500}}}}, {"a": [1] * 20_000}, False),
        ({"properties": {"a": {"items": {"type": "string", "allOf": [{"type": "string"}] * 1500}}}},
         {"a": [1] * 20_000}, False),
        ({"properties": {"a": {"anyOf": [{"const": "x"}] * 3000}}}, {"a": "y" * 60_000}, False),
        ({"properties": {"a": {"$ref": "#"}}}, {"a": {"a": {"a": {}}}}, True),
        ({"allOf": [{"$ref": "#/$defs/n"}], "$defs": {"n": {"properties": {"a": {"$ref": "#"}}}}},
         {"a": {"a": {}}}, True),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, {"a": {"a": {"a": 3}}}, False),
    ],
)  # fmt: skip
def test_a_schema_is_applied_in_bounded_time(
    client: TestClient, schema: Any, params: dict[str, Any], is_valid: bool
) -> None:
    assert offer(client, schema).status_code == 204
    start = time.monotonic()
    answer = post(client, **params)
    assert time.monotonic() - start < 5  # minutes, before
    assert answer.status_code == (201 if is_valid else 422), answer.text
    if not is_valid:
        assert answer.json()["errors"][0]["field"].startswith("task.params")


def test_the_built_in_tasks_offer_schemas_that_the_server_takes() -> None:
    for task in offers(TASKS):
        assert schema_faults(task.params_schema) == [], task.name

"""Pages of lists stay small however large the items are, and agree with the items' own documents."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from tests.support.ledgers import FakeWorker, study_spec

MIB = 2**20
LONG = {"spec", "warnings", "convergence", "range_test", "data"}


def create(client: TestClient, **changes: Any) -> dict[str, Any]:
    answer = client.post("/v1/studies", json=study_spec(**{"warm_start": "off", **changes}))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def enlarge(client: TestClient, column: str, **changes: Any) -> None:
    """Put these fields into the document that all studies have in a column."""
    services = client.app.state.services  # type: ignore[attr-defined]
    with services.database.write() as transaction:
        rows = transaction.connection.execute(text(f"SELECT id, {column} FROM studies")).all()
        for study_id, stored in rows:
            document = json.loads(stored) if isinstance(stored, str) else stored
            values = {"id": study_id, "document": json.dumps({**(document or {}), **changes})}
            transaction.connection.execute(text(f"UPDATE studies SET {column} = :document WHERE id = :id"), values)


CONSTANT = {"family": "constant", "start_lr": 0.1, "end_lr": 0.1}
LOSS = {"metric": "val_loss", "direction": "minimize"}
STUDIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "confirmed": {"confirm": {"top": 3, "seeds": 4}},
    "with baselines": {"confirm": {"top": 2, "seeds": 2}, "baseline": [CONSTANT]},
    "without a baseline": {"confirm": {"top": 2, "seeds": 2}, "baseline": False},
    "swept first": {"space": {"families": ["constant"], "start_lr": "auto"}, "objective": LOSS},
    "trained five times": {"objective": {**LOSS, "seeds": 5}},
    "constrained": {"objective": {**LOSS, "constraints": [{"metric": "val_accuracy", "at_least": 0.5}]}},
    "paused": {},
    "unknown task": {"task": {"name": "other:task", "params": {}}},
}


def test_a_study_in_a_list_says_what_its_document_says_without_the_long_parts(
    client: TestClient, worker: FakeWorker
) -> None:
    ids = {name: create(client, name=name, **changes)["study_id"] for name, changes in STUDIES.items()}
    client.post(f"/v1/studies/{ids['paused']}/pause")
    for name in ("plain", "with baselines", "constrained"):
        for number in range(2):
            lease = worker.claim(study=ids[name])
            assert lease is not None
            worker.report(lease, 99, 0.5 + 0.1 * number)
            worker.finish(lease, value=0.5 + 0.1 * number)
    items = {item["study_id"]: item for item in client.get("/v1/studies").json()["items"]}
    assert len(items) == len(STUDIES)
    for study_id, item in items.items():
        document = client.get(f"/v1/studies/{study_id}").json()
        assert item == {field: value for field, value in document.items() if field not in LONG}
    assert items[ids["plain"]]["best"]["value"] == 0.6
    assert "no live worker" in items[ids["unknown task"]]["reason"]


@pytest.mark.parametrize("column", ["spec", "data", "range_test", "convergence"])
def test_a_list_of_studies_neither_carries_nor_loads_what_is_long(client: TestClient, column: str) -> None:
    for number in range(20):
        create(client, name=f"study {number}")
    enlarge(client, column, padding=["x" * 1000] * 1000)
    tracemalloc.start()
    try:
        answer = client.get("/v1/studies")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(answer.json()["items"]) == 20
    assert len(answer.content) < 20 * 2000
    assert peak < 5 * MIB


def pages(client: TestClient, path: str, limit: int = 500) -> list[Any]:
    """The answers, up to the last page."""
    answers: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        answers.append(client.get(path, params={"limit": limit, **({"cursor": cursor} if cursor else {})}))
        cursor = answers[-1].json()["next_cursor"]
    return answers


def test_a_page_of_tasks_ends_at_a_megabyte_and_the_next_goes_on(client: TestClient) -> None:
    schema = {"type": "object", "description": "x" * 60_000}
    for at in range(0, 24, 3):
        offers = [{"name": f"my:task{number:02}", "params_schema": schema} for number in range(at, at + 3)]
        FakeWorker(client, f"w-{at}", offers).claim()
    answers = pages(client, "/v1/tasks")
    assert [len(answer.json()["items"]) for answer in answers] == [17, 7]
    assert max(len(answer.content) for answer in answers) < 1.1 * MIB
    names = [task["name"] for answer in answers for task in answer.json()["items"]]
    assert names == [f"my:task{number:02}" for number in range(24)]
    assert [len(answer.json()["items"]) for answer in pages(client, "/v1/tasks", limit=10)] == [10, 10, 4]


def test_a_task_that_many_workers_offer_is_read_once(client: TestClient) -> None:
    offer = {"name": "my:task", "params_schema": {"type": "object", "description": "x" * 60_000}}
    for number in range(100):
        FakeWorker(client, f"w-{number}", [offer]).claim()
    tracemalloc.start()
    try:
        (task,) = client.get("/v1/tasks").json()["items"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (task["workers"], task["params_schema"]) == (100, offer["params_schema"])
    assert peak < 3 * MIB


def test_a_page_of_range_tests_ends_at_a_megabyte_and_the_next_goes_on(client: TestClient) -> None:
    task = {"name": "any:task", "params": {"text": "x" * 60_000}}
    made = [client.post("/v1/range-tests", json={"task": task, "name": f"test {number}"}) for number in range(24)]
    answers = pages(client, "/v1/range-tests")
    assert [len(answer.json()["items"]) for answer in answers] == [17, 7]
    assert max(len(answer.content) for answer in answers) < 1.1 * MIB
    listed = [test["range_test_id"] for answer in answers for test in answer.json()["items"]]
    assert set(listed) == {answer.json()["range_test_id"] for answer in made}
    assert len(listed) == 24


def test_an_entry_larger_than_a_page_is_a_page(client: TestClient) -> None:
    for _ in range(2):
        client.post("/v1/range-tests", json={"task": {"name": "any:task", "params": {}}})
    enlarge(client, "spec", padding="x" * (2 * MIB))
    assert [len(answer.json()["items"]) for answer in pages(client, "/v1/range-tests")] == [1, 1]

"""Pages of lists stay small, however much the things listed hold, and say the same as the things' own documents."""

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

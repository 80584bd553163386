"""The description of a study's data that workers send is stored and shown, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support.ledgers import FakeWorker, study_spec

DATA: dict[str, Any] = {
    "source": "people.csv",
    "rows": 60,
    "target": "income",
    "columns": [{"name": "age", "kind": "numbers", "missing": 1}, {"name": "town", "kind": "categories", "missing": 0}],
    "columns_count": 2,
    "classes": {"high": 20, "low": 40},
    "classes_count": 2,
    "left_out": ["column 'id': the parameter `drop` names it"],
    "doubts": ["column 'town' is read as categories, though 60% of it are numbers"],
}


def test_the_first_word_on_a_studys_data_is_kept_and_its_doubts_are_warnings(
    client: TestClient, worker: FakeWorker
) -> None:
    place = f"/v1/studies/{client.post('/v1/studies', json=study_spec()).json()['study_id']}"
    assert client.get(place).json()["data"] is None
    lease = worker.claim()
    assert lease is not None
    assert worker.report(lease, 10, 0.5, data=DATA).status_code == 200
    worker.report(lease, 20, 0.6, data={**DATA, "rows": 61})
    study = client.get(place).json()
    assert study["data"] == DATA
    doubts = [warning for warning in study["warnings"] if warning["code"] == "data_doubtful"]
    assert [(doubt["field"], doubt["message"]) for doubt in doubts] == [("task.params", DATA["doubts"][0])]


def test_what_is_told_of_a_trial_that_is_not_held_is_not_kept(client: TestClient, worker: FakeWorker) -> None:
    place = f"/v1/studies/{client.post('/v1/studies', json=study_spec()).json()['study_id']}"
    lease = worker.claim()
    assert lease is not None
    lost = {**lease, "trials": [{**trial, "attempt": trial["attempt"] + 1} for trial in lease["trials"]]}
    worker.report(lost, 10, 0.5, data=DATA)
    assert client.get(place).json()["data"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": -1},
        {"source": "x" * 501},
        {"columns": [DATA["columns"][0]] * 201},
        {"classes": {f"c{place}": 1 for place in range(101)}},
        {"doubts": ["x"] * 51},
        {"doubts": ["\x00"]},
        {"more": 1},
    ],
)
def test_what_is_told_is_bounded(client: TestClient, worker: FakeWorker, changes: dict[str, Any]) -> None:
    client.post("/v1/studies", json=study_spec())
    lease = worker.claim()
    assert lease is not None
    assert worker.report(lease, 10, 0.5, data={**DATA, **changes}).status_code == 422

"""A cohort's call costs the same number of statements for any number of members."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import Engine, event
from starlette.testclient import TestClient

from service import app
from service.store.database import Database
from tests.support.ledgers import FakeWorker, study_spec


@pytest.fixture(autouse=True)
def unswept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's look at all leases, usually once a second, does not fall between the statements counted."""
    monkeypatch.setattr(app, "SWEEP_SECONDS", 3600.0)


@contextmanager
def counted() -> Iterator[list[str]]:
    """What calls on leases send to the databases meanwhile. Rows of one statement are sent together."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    plainly, at_once = Database.write_plainly, Database.run_at_once

    @contextmanager
    def noting_plainly(database: Database) -> Iterator[Any]:
        with plainly(database) as cursor:
            yield Noting(cursor, sent)

    def noting_at_once(database: Database, statement: str, values: Any) -> list[Any]:
        sent.append(statement)
        return at_once(database, statement, values)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        with patch.multiple(Database, write_plainly=noting_plainly, run_at_once=noting_at_once):
            yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


class Noting:
    """A driver's cursor that notes what it is given."""

    def __init__(self, cursor: Any, sent: list[str]) -> None:
        self._cursor = cursor
        self._sent = sent

    def execute(self, statement: str, values: Any = ()) -> Any:
        self._sent.append(statement)
        return self._cursor.execute(statement, values)

    def executemany(self, statement: str, rows: Any) -> Any:
        self._sent.append(statement)
        return self._cursor.executemany(statement, rows)


def statements(client: TestClient, worker: FakeWorker, trials: int) -> tuple[int, int]:
    """Of an epoch's reports and of the results of so many trials that end at once."""
    spec = study_spec(budget={"trials": 100, "parallel": 100}, sampler={"name": "random", "seed": trials})
    study = client.post("/v1/studies", json=spec).json()["study_id"]
    lease = worker.claim(max_trials=trials, study=study)
    assert lease is not None
    assert len(lease["trials"]) == trials
    worker.report(lease, 5, 0.3)
    with counted() as reporting:
        assert worker.report(lease, 10, 0.5).status_code == 200
    with counted() as finishing:
        assert worker.finish(lease).status_code == 200
    told = client.get(f"/v1/studies/{study}/trials", params={"state": "COMPLETED"}).json()["items"]
    assert len(told) == trials
    assert all(trial["value"] == 0.5 for trial in told)
    return len(reporting), len(finishing)


def test_reports_and_results_of_a_cohort_are_bulk_statements(client: TestClient, worker: FakeWorker) -> None:
    few = statements(client, worker, 20)
    assert min(few) > 0
    assert statements(client, worker, 60) == few

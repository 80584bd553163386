"""What a cohort says at once costs as many statements, however large it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event
from starlette.testclient import TestClient

from tests.support.ledgers import FakeWorker, study_spec


@contextmanager
def counted() -> Iterator[list[str]]:
    """What the databases are sent meanwhile. Rows that are written by one statement are sent together."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


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
    assert statements(client, worker, 60) == statements(client, worker, 20)

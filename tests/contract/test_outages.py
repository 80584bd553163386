"""If the database is down or its disk is full, each call says so, and nothing is lost when it is back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import event, text
from starlette.testclient import TestClient

from service.store.database import Database
from service.store.schema import migrate
from tests.support import postgres
from tests.support.ledgers import FakeWorker, serving, study_spec
from tests.support.live import listening

ON_FULL_DISK = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
END $$;
"""
"""The error that PostgreSQL raises for it: a full disk of its own would take a file system of its own."""
TABLES = ("studies", "trials", "leases", "reports", "workers")


def posted(client: TestClient, **changes: Any) -> Any:
    return client.post("/v1/studies", json=study_spec(warm_start="off", **changes))


@contextmanager
def full_disk(database: Database) -> Iterator[None]:
    """No table can grow while the block runs."""
    if database.engine.dialect.name == "sqlite":
        with _full_sqlite(database):
            yield
        return
    with database.write() as transaction:
        transaction.connection.execute(text(ON_FULL_DISK))
        for table in TABLES:
            trigger = f"CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION refuse()"
            transaction.connection.execute(text(trigger))
    yield
    with database.write() as transaction:
        for table in TABLES:
            transaction.connection.execute(text(f"DROP TRIGGER full_disk ON {table}"))


@contextmanager
def _full_sqlite(database: Database) -> Iterator[None]:
    """SQLite says of a file that may not grow what it says of a full disk."""

    def limit(connection: Any, *_: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    with database.write_plainly() as cursor:
        (pages,) = cursor.execute("PRAGMA page_count").fetchone()
    own = database._plain
    assert own is not None
    own.execute("PRAGMA max_page_count = 1")
    event.listen(database.engine, "checkout", limit)
    yield
    event.remove(database.engine, "checkout", limit)
    database.engine.dispose()
    own.execute("PRAGMA max_page_count = 1073741823")


def assert_full(answer: Any) -> None:
    assert answer.status_code == 507, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:lehr:problem:storage-full"
    assert "full" in problem["detail"]
    assert "free space" in problem["detail"]


def test_a_full_disk_is_said_to_whoever_submits_and_to_workers(client: TestClient, worker: FakeWorker) -> None:
    study = posted(client).json()["study_id"]
    lease = worker.claim()
    assert lease is not None
    assert worker.report(lease, 1, 0.5).status_code == 200
    large = {"description": "x" * 60_000}
    database = client.app.state.services.database  # type: ignore[attr-defined]
    with full_disk(database):
        assert_full(posted(client, task={"name": "own:task", "params": large}))
        assert_full(worker.report(lease, 2, 0.6, reports=_many_reports(), horizon_steps=10_000))
        assert client.get(f"/v1/studies/{study}").status_code == 200
        assert client.get("/v1/studies").status_code == 200
    assert len(client.get("/v1/studies").json()["items"]) == 1
    assert worker.report(lease, 2, 0.6).status_code == 200
    assert client.get(f"/v1/studies/{study}/trials/0/curve").json()["step"] == [1, 2]
    assert worker.finish(lease).status_code == 200


def _many_reports() -> list[dict[str, Any]]:
    return [{"step": step, "lr": 0.1, "metrics": {"val_accuracy": 0.5}} for step in range(2, 5_000)]


@pytest.fixture
def postgres_that_stops() -> Iterator[tuple[str, ExitStack]]:
    """The URL of a database of its own, and what stops its server."""
    with ExitStack() as running:
        folder = running.enter_context(postgres.cluster())
        url = postgres.url(folder, "postgres")
        migrate(url)
        yield url, running


def test_while_postgresql_is_away_every_call_answers_503(postgres_that_stops: tuple[str, ExitStack]) -> None:
    url, running = postgres_that_stops
    with serving(url) as client:
        study = posted(client).json()["study_id"]
        worker = FakeWorker(client)
        lease = worker.claim()
        assert lease is not None
        assert worker.report(lease, 1, 0.5).status_code == 200
        running.close()
        for _ in range(2):  # the connections that were cut, and then those that cannot be made
            answers = {
                "report": worker.report(lease, 2, 0.5),
                "renew": worker.renew(lease),
                "finish": worker.finish(lease),
                "release": worker.release(lease),
                "post": posted(client),
                "list": client.get("/v1/studies"),
                "cancel": client.post(f"/v1/studies/{study}/cancel"),
                "tasks": client.get("/v1/tasks"),
                "ready": client.get("/readyz"),
            }
            assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 503)
        assert answers["report"].json()["type"] == "urn:lehr:problem:database-unavailable"
        assert answers["report"].headers["Retry-After"] == "2"


def test_a_server_that_was_away_for_longer_than_a_lease_takes_no_lease_whose_worker_is_there(
    database_url: str,
) -> None:
    terms = {"lease_seconds": 3.0, "beat_seconds": 1.0}
    with listening(database_url, **terms) as url:
        assert httpx.post(f"{url}/v1/studies", json=study_spec(warm_start="off")).status_code == 201
        lease = _claim(url)
    time.sleep(3.5)
    with listening(database_url, **terms) as url:
        time.sleep(2.0)  # the lease ended long ago, and the server has looked for such leases
        trials = [{"trial": trial["trial"], "attempt": 1} for trial in lease["trials"]]
        renewed = httpx.post(f"{url}/v1/leases/{lease['lease_id']}/renew", json={"trials": trials})
        assert renewed.json()["trials"] == {lease["trials"][0]["trial"]: "continue"}
        trial = f"{url}/v1/studies/{lease['study']['study_id']}/trials/0"
        assert httpx.get(trial).json()["losses"] == 0
        deadline = time.monotonic() + 15.0  # the worker is gone now
        while httpx.get(trial).json()["losses"] == 0:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def _claim(url: str) -> Any:
    worker = {"id": "w-1", "name": "w-1", "device": "cpu", "tasks": ["digits"], "labels": {}}
    answer = httpx.post(f"{url}/v1/leases", json={"worker": worker, "max_trials": 1, "wait_seconds": 0})
    assert answer.status_code == 200, answer.text
    return answer.json()

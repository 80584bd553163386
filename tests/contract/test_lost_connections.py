"""The server recovers when its PostgreSQL connections are cut."""

from __future__ import annotations

import psycopg
from sqlalchemy import make_url

from service.store.database import Database
from tests.support.ledgers import FakeWorker, serving, study_spec

CUT_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"


def cut_connections(postgres_url: str) -> None:
    url = make_url(postgres_url)
    with psycopg.connect(host=url.query["host"], user="lehr", dbname="postgres", autocommit=True) as connection:
        connection.execute(CUT_ALL, [url.database])


def test_a_report_that_finds_its_connection_cut_is_asked_to_come_again_and_is_then_kept_once(
    postgres_url: str,
) -> None:
    with serving(postgres_url) as client:
        study = client.post("/v1/studies", json=study_spec()).json()["study_id"]
        worker = FakeWorker(client)
        lease = worker.claim(4)
        assert lease is not None
        assert worker.report(lease, 10, 0.5).status_code == 200
        cut_connections(postgres_url)
        client.get(f"/v1/studies/{study}")  # finds the reading connections cut, too, and has new ones made
        answers = [worker.report(lease, 20, 0.6) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [503, 200]
        assert answers[0].headers["Retry-After"] == "2"
        curve = client.get(f"/v1/studies/{study}/trials/0/curve").json()
        assert curve["step"] == [10, 20]


def test_a_report_is_read_committed_even_where_the_database_prefers_serializable(postgres_url: str) -> None:
    name = make_url(postgres_url).database
    with psycopg.connect(
        host=make_url(postgres_url).query["host"], user="lehr", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    database = Database(postgres_url)
    assert database.run_at_once("SHOW transaction_isolation", {}) == [("read committed",)]
    database.close()

"""The queries of claims cost by the number of open trials, not of all trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from service.ledger.claims import STUDIES_WITH_WORK, WAITING_TRIALS
from service.ledger.shares import COUNT_HELD
from service.store.database import create_engine_for
from service.store.tables import Base
from service.store.trials import COUNT_OPEN

ASKED: dict[str, tuple[Any, dict[str, Any]]] = {
    "studies with work": (STUDIES_WITH_WORK, {"tasks": ["digits"], "foldable": []}),
    "trials that wait": (WAITING_TRIALS, {"study": "s", "room": 1}),
    "how many run": (COUNT_OPEN, {"study": "s", "states": ["RUNNING"]}),
    "how many a worker holds": (COUNT_HELD, {"study": "s", "worker": "w"}),
    "how many are open": (COUNT_OPEN, {"study": "s", "states": ["WAITING", "RUNNING"]}),
}


@pytest.mark.parametrize(("statement", "values"), ASKED.values(), ids=ASKED.keys())
def test_sqlite_finds_trials_by_the_index_of_open_ones(tmp_path: Path, statement: Any, values: dict[str, Any]) -> None:
    engine = create_engine_for(f"sqlite:///{tmp_path}/lehr.sqlite")
    Base.metadata.create_all(engine)
    with engine.connect() as connection:
        steps = [step for step in plan(connection, statement, values) if " trials" in step]
    engine.dispose()
    assert steps
    assert all("INDEX ix_trials_open (study_id=? AND state=?)" in step for step in steps)


def plan(connection: Connection, statement: Any, values: dict[str, Any]) -> list[str]:
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, sql: str, parameters: Any, *_rest: Any) -> None:
        sent.append((sql, parameters))

    event.listen(connection, "before_cursor_execute", note)
    connection.execute(statement, values).all()
    event.remove(connection, "before_cursor_execute", note)
    sql, parameters = sent[-1]  # after BEGIN
    return [step[3] for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)]

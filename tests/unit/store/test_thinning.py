"""Which reports are read of a training with too many to show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import floor, isclose
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, create_engine, delete, insert, select

from service.store.reports import metric_of, thinned
from service.store.tables import ReportRow

REPORTS = cast("Table", ReportRow.__table__)


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        REPORTS.create(connection)
        yield connection
    engine.dispose()


def put(connection: Connection, counts: Sequence[int]) -> None:
    """Trials of so many reports, three steps apart."""
    connection.execute(delete(ReportRow))
    rows = [
        {"trial_id": f"t{trial}", "step": 3 * place, "attempt": 1, "lr": 0.1, "metrics": {}}
        for trial, count in enumerate(counts)
        for place in range(count)
    ]
    if rows:
        connection.execute(insert(ReportRow), rows)


def places(connection: Connection, trials: int, most: int, *, aligned: bool) -> list[list[int]]:
    ids = [f"t{trial}" for trial in range(trials)]
    rows = connection.execute(thinned(ids, most, ReportRow.trial_id, ReportRow.step, aligned=aligned)).all()
    return [[step // 3 for trial, step in rows if trial == wanted] for wanted in ids]


def evenly(count: int, most: int) -> list[int]:
    """At most so many places of the first `count`, each the nearest to where equal distances would put it."""
    if count <= most or most == 1:
        return list(range(min(count, most)))
    return [floor(Fraction(k * (count - 1), most - 1) + Fraction(1, 2)) for k in range(most)]


@given(counts=st.lists(st.integers(0, 60), min_size=1, max_size=4), most=st.integers(1, 70))
def test_reports_are_kept_evenly_with_the_first_and_the_last(
    connection: Connection, counts: list[int], most: int
) -> None:
    put(connection, counts)
    assert places(connection, len(counts), most, aligned=False) == [evenly(count, most) for count in counts]


@given(counts=st.lists(st.integers(1, 60), min_size=1, max_size=4), most=st.integers(1, 70))
def test_aligned_reports_are_those_of_the_shortest(connection: Connection, counts: list[int], most: int) -> None:
    put(connection, counts)
    assert places(connection, len(counts), most, aligned=True) == [evenly(min(counts), most)] * len(counts)


NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)


@given(st.dictionaries(NAMES, st.none() | st.floats(-1e100, 1e100), max_size=5), NAMES)
def test_a_metric_of_any_name_is_read_in_the_database(
    connection: Connection, metrics: dict[str, float | None], other: str
) -> None:
    put(connection, [])
    connection.execute(insert(ReportRow), [{"trial_id": "t", "step": 0, "attempt": 1, "lr": 0.1, "metrics": metrics}])
    for name in (*metrics, other):
        found = connection.execute(select(metric_of(ReportRow.metrics, name))).scalar_one()
        expected = metrics.get(name)
        assert found == expected if expected is None else isclose(found, expected, rel_tol=1e-15, abs_tol=1e-300)

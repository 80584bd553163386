"""SQLite's plain writes are stored completely, or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from service.store.database import Database


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lehr.sqlite"


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{file}")
    with database.write_plainly() as cursor:
        cursor.execute("CREATE TABLE numbers (number INTEGER)")
    yield database
    database.close()


def kept(file: Path) -> list[int]:
    """What another program finds in the file."""
    connection = sqlite3.connect(file)
    found = [number for (number,) in connection.execute("SELECT number FROM numbers ORDER BY number")]
    connection.close()
    return found


def fail_after_a_write(database: Database) -> None:
    with database.write_plainly() as cursor:
        cursor.execute("INSERT INTO numbers VALUES (1)")
        raise ZeroDivisionError


def test_it_is_there_for_everybody_when_the_block_has_ended(database: Database, file: Path) -> None:
    with database.write_plainly() as cursor:
        cursor.executemany("INSERT INTO numbers VALUES (?)", [(1,), (2,)])
        assert kept(file) == []
    assert kept(file) == [1, 2]


def test_nothing_is_kept_of_one_that_fails_and_the_next_one_is_none_the_worse(database: Database, file: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        fail_after_a_write(database)
    assert kept(file) == []
    with database.write_plainly() as cursor:
        cursor.execute("INSERT INTO numbers VALUES (2)")
    with database.write() as transaction:
        transaction.connection.exec_driver_sql("INSERT INTO numbers VALUES (3)")
    assert kept(file) == [2, 3]


def test_the_drivers_error_comes_as_that_of_every_other_statement(database: Database) -> None:
    with pytest.raises(OperationalError, match="no such table"), database.write_plainly() as cursor:
        cursor.execute("INSERT INTO missing VALUES (1)")


def test_a_database_that_cannot_be_opened_is_told_of_by_the_same_error(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/missing/lehr.sqlite")
    for _ in range(2):
        with pytest.raises(OperationalError, match="unable to open"), database.write_plainly() as cursor:
            cursor.execute("SELECT 1")
    database.close()

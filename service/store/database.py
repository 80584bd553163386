"""Opens the database's read and write transactions. Only this file commits.

On SQLite, a write takes a lock of this process and then runs BEGIN IMMEDIATE, so that writers queue here, fairly, and
not in SQLite's busy handler. Readers continue meanwhile (WAL). On PostgreSQL, the row lock of the study that they write
to serializes writers (`lock_study`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any, Protocol, cast

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    PoolProxiedConnection,
    Table,
    bindparam,
    create_engine,
    event,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session

from service.store.tables import Base, StudyRow, TrialRow

BUSY_TIMEOUT_SECONDS = 30
POOL_SIZE = 20
POOL_OVERFLOW = 20
POOL_AT_ONCE = 10
"""The number of separate connections for statements that commit on their own. Further statements wait."""

POSTGRESQL_READS = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
POSTGRESQL_NOW = text("SELECT clock_timestamp()")

_STUDY = select(StudyRow).where(StudyRow.id == bindparam("study")).execution_options(populate_existing=True)
LOCK_STUDY = _STUDY.with_for_update()
LOCK_STUDY_UNLESS_HELD = _STUDY.with_for_update(skip_locked=True)
TRIALS_BY_ID = select(TrialRow).where(TrialRow.id.in_(bindparam("trials", expanding=True))).order_by(TrialRow.number)


class Clock(Protocol):
    def now(self, connection: Connection) -> datetime: ...


class DatabaseClock:
    """The database's clock, so that servers with different clocks agree on every lease.

    SQLite has no clock of its own and would read this machine's, which is therefore read directly.
    """

    def now(self, connection: Connection) -> datetime:
        if connection.dialect.name == "sqlite":
            return datetime.now(UTC)
        now: datetime = connection.execute(POSTGRESQL_NOW).scalar_one()
        return now.astimezone(UTC)


@dataclass
class Transaction:
    """One unit of work, with a connection for statements and a session for objects, which is created on first use."""

    connection: Connection
    clock: Clock

    @cached_property
    def now(self) -> datetime:
        """The clock's time, read once per transaction."""
        return self.clock.now(self.connection)

    @cached_property
    def session(self) -> Session:
        return Session(self.connection, expire_on_commit=False)

    def flush(self) -> None:
        """Write the objects' changes, so that statements on the connection see them."""
        if "session" in self.__dict__:
            self.session.flush()

    def lock_study(self, study_id: str, *, skip_locked: bool = False) -> StudyRow | None:
        """The study's row, locked until the transaction ends; None if there is none (or, with `skip_locked`, if another
        transaction has locked it).

        Everything that writes to a study or its trials takes this lock first. This order rules out deadlocks, and
        revisions are assigned without gaps or races.
        """
        query = LOCK_STUDY_UNLESS_HELD if skip_locked else LOCK_STUDY
        return self.session.execute(query, {"study": study_id}).scalar_one_or_none()

    def known_study(self, study_id: str) -> StudyRow:
        """The row of a study that is already locked."""
        return self.session.get_one(StudyRow, study_id)

    def trials(self, trial_ids: list[str]) -> list[TrialRow]:
        """These trials, by number."""
        return list(self.session.execute(TRIALS_BY_ID, {"trials": trial_ids}).scalars())

    def upsert(self, table: type[Base], keys: Sequence[str], rows: list[dict[str, Any]]) -> None:
        """Insert rows, or update the given columns of rows with the same keys. Keys must be distinct."""
        # Through the connection, because the session's bulk insert would handle every row as an object.
        statement = _upsert_statement(self.connection.dialect.name, table, tuple(keys), tuple(rows[0]))
        self.connection.execute(statement, rows)


@cache
def _upsert_statement(dialect: str, table: type[Base], keys: tuple[str, ...], names: tuple[str, ...]) -> Any:
    make = sqlite.insert if dialect == "sqlite" else postgresql.insert
    insert = make(cast("Table", table.__table__))
    replaced = {name: insert.excluded[name] for name in names if name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=replaced)


class Database:
    """A SQLite or PostgreSQL database."""

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self.engine = create_engine_for(url)
        self.clock = clock or DatabaseClock()
        self._is_sqlite = self.engine.dialect.name == "sqlite"
        self._write_engine = self.engine.execution_options(lehr_write=True)
        self._read_engine = self.engine if self._is_sqlite else self.engine.execution_options(**POSTGRESQL_READS)
        self._at_once_engine = None if self._is_sqlite else _create_at_once_engine(self.engine.url)
        self._one_writer: AbstractContextManager[Any] = threading.Lock() if self._is_sqlite else nullcontext()
        self._plain: PoolProxiedConnection | None = None

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent, read-only view."""
        with self._read_engine.connect() as connection:
            yield Transaction(connection, self.clock)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that commits when the block ends, and rolls back if it raises."""
        with self._one_writer, self._write_engine.connect() as connection, connection.begin():
            transaction = Transaction(connection, self.clock)
            yield transaction
            transaction.flush()

    @contextmanager
    def write_plainly(self) -> Iterator[Any]:
        """SQLite only: the driver's cursor in its own transaction, for statements written for the driver.

        It always uses the same connection, which need not read its pages again while no other connection writes. Like
        `write`, it raises SQLAlchemy's OperationalError if the database does not answer.
        """
        assert self._is_sqlite, "on PostgreSQL, such statements go through run_at_once"
        with self._one_writer:
            try:
                self._plain = self._plain or self.engine.raw_connection()
                with closing(self._plain.cursor()) as cursor:
                    cursor.execute("BEGIN IMMEDIATE")
                    yield cursor
                    cursor.execute("COMMIT")
            except self.engine.dialect.loaded_dbapi.OperationalError as error:
                raise OperationalError(None, None, error) from error
            finally:
                if self._plain is not None:
                    self._plain.rollback()  # does nothing after the commit

    @property
    def commits_at_once(self) -> bool:
        """Whether `run_at_once` is available: one statement that does what SQLite needs several for."""
        return self._at_once_engine is not None

    def run_at_once(self, statement: str, values: Mapping[str, Any]) -> list[Any]:
        """The rows of one PostgreSQL statement, written for the driver, that commits on its own.

        This saves two round trips, and uses only SQLAlchemy's pool, because executing through the rest of it costs
        twice as much. Raises SQLAlchemy's OperationalError if the database does not answer.
        """
        engine = self._at_once_engine
        assert engine is not None, "SQLite has no such statements"
        driver = engine.dialect.loaded_dbapi
        borrowed: PoolProxiedConnection | None = None
        try:
            borrowed = engine.raw_connection()
            cursor: Any = borrowed.cursor()
            cursor.execute(statement, values)
            return list(cursor.fetchall())
        except (driver.OperationalError, driver.InterfaceError) as error:
            if borrowed is not None:
                borrowed.invalidate(error)
                engine.dispose()  # the pool's other connections are most likely broken too
            raise OperationalError(None, None, error) from error
        finally:
            if borrowed is not None:
                borrowed.close()

    @property
    def known_now(self) -> datetime | None:
        """The time of a clock other than the database's; None for the database's, which statements read themselves."""
        if isinstance(self.clock, DatabaseClock):
            return None
        with self.read() as transaction:
            return transaction.now

    def close(self) -> None:
        if self._plain is not None:
            self._plain.close()
        self.engine.dispose()
        if self._at_once_engine is not None:
            self._at_once_engine.dispose()


def _read_json(text: str | bytes) -> Any:
    """A stored JSON document; {} if the text is not JSON, so that one broken row does not fail a query for many."""
    try:
        return json.loads(text)
    except ValueError:
        return {}


SAFE: dict[str, Any] = {"hide_parameters": True, "json_deserializer": _read_json}
"""Options for every engine. They keep a statement's values out of its errors, and so out of the log."""


def _create_at_once_engine(url: URL) -> Engine:
    """Connections in autocommit mode, which never have an open transaction to roll back."""
    engine = create_engine(url, pool_size=POOL_AT_ONCE, max_overflow=0, pool_reset_on_return=None)
    event.listen(engine, "connect", _prepare_at_once)
    return engine


def create_engine_for(url: str) -> Engine:
    """An engine for a SQLite or PostgreSQL URL. Raises ValueError for any other."""
    parsed = _parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, pool_size=POOL_SIZE, max_overflow=POOL_OVERFLOW, **SAFE)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        return create_engine(
            parsed, pool_size=POOL_SIZE, max_overflow=POOL_OVERFLOW, isolation_level="READ COMMITTED", **SAFE
        )
    raise ValueError(
        f"database: unsupported kind {parsed.get_backend_name()!r} (allowed: sqlite, postgresql). "
        "Give a URL such as sqlite:///lehr.sqlite or postgresql://user@host/lehr."
    )


def _parse_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    # The driver's and SQLAlchemy's errors are not shown, because they quote the URL with its password.
    if parsed is None or "@" in (parsed.host or ""):
        raise ValueError(
            "database: the URL cannot be parsed. Give a URL such as sqlite:///lehr.sqlite or "
            "postgresql://user:password@host:5432/lehr, and write @, / and : in a password as %40, %2F and %3A."
        )
    return parsed


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own BEGIN comes too late for a write lock, so lehr issues BEGIN itself.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # FULL, not NORMAL: an acknowledged report must survive a power failure.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _prepare_at_once(connection: Any, _record: Any) -> None:
    connection.autocommit = True
    # Whatever the database's default is: `report_ingestion` relies on it.
    connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED")


def _begin_sqlite(connection: Any) -> None:
    writes = connection.get_execution_options().get("lehr_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

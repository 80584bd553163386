"""The database's two doors: `read` and `write`. This is the one file that commits.

On SQLite a write begins with BEGIN IMMEDIATE behind a lock of this process, so that writers queue
here, fairly, and not in SQLite's busy handler; readers go on beside them (WAL). On PostgreSQL
writers are parted by the row lock of the study they write to (`lock_study`).
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
"""Connections of their own for statements that commit by themselves; more of these wait for one another."""

POSTGRESQL_READS = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
POSTGRESQL_NOW = text("SELECT clock_timestamp()")

_STUDY = select(StudyRow).where(StudyRow.id == bindparam("study")).execution_options(populate_existing=True)
LOCK_STUDY = _STUDY.with_for_update()
LOCK_STUDY_UNLESS_HELD = _STUDY.with_for_update(skip_locked=True)
TRIALS_BY_ID = select(TrialRow).where(TrialRow.id.in_(bindparam("trials", expanding=True))).order_by(TrialRow.number)


class Clock(Protocol):
    def now(self, connection: Connection) -> datetime: ...


class DatabaseClock:
    """The database's own clock, so that servers with clocks of their own agree on every lease.

    SQLite has none: it would ask this machine, which is asked directly.
    """

    def now(self, connection: Connection) -> datetime:
        if connection.dialect.name == "sqlite":
            return datetime.now(UTC)
        now: datetime = connection.execute(POSTGRESQL_NOW).scalar_one()
        return now.astimezone(UTC)


@dataclass
class Transaction:
    """One unit of work: statements on its connection, objects through its session, made when first used."""

    connection: Connection
    clock: Clock

    @cached_property
    def now(self) -> datetime:
        """The time, read once."""
        return self.clock.now(self.connection)

    @cached_property
    def session(self) -> Session:
        return Session(self.connection, expire_on_commit=False)

    def flush(self) -> None:
        """Write the objects' changes, for statements on the connection to see."""
        if "session" in self.__dict__:
            self.session.flush()

    def lock_study(self, study_id: str, *, skip_locked: bool = False) -> StudyRow | None:
        """The study's row, held until the transaction ends; None where there is none (or, asked to skip, it is held).

        Everything that writes to a study or to its trials takes this lock first. That one order
        makes deadlocks impossible and lets revisions be given out without gaps or races.
        """
        query = LOCK_STUDY_UNLESS_HELD if skip_locked else LOCK_STUDY
        return self.session.execute(query, {"study": study_id}).scalar_one_or_none()

    def known_study(self, study_id: str) -> StudyRow:
        """The row of a study that is locked already."""
        return self.session.get_one(StudyRow, study_id)

    def trials(self, trial_ids: list[str]) -> list[TrialRow]:
        """These trials, by number."""
        return list(self.session.execute(TRIALS_BY_ID, {"trials": trial_ids}).scalars())

    def upsert(self, table: type[Base], keys: Sequence[str], rows: list[dict[str, Any]]) -> None:
        """Insert rows; where the keys are taken, the given columns replace the old ones. Keys must be distinct."""
        # Through the connection: the session's own bulk insert would look at every row as an object.
        statement = _upsert_statement(self.connection.dialect.name, table, tuple(keys), tuple(rows[0]))
        self.connection.execute(statement, rows)


@cache
def _upsert_statement(dialect: str, table: type[Base], keys: tuple[str, ...], names: tuple[str, ...]) -> Any:
    make = sqlite.insert if dialect == "sqlite" else postgresql.insert
    insert = make(cast("Table", table.__table__))
    replaced = {name: insert.excluded[name] for name in names if name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=replaced)


class Database:
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
        """A consistent view; nothing is kept."""
        with self._read_engine.connect() as connection:
            yield Transaction(connection, self.clock)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Committed when the block ends, rolled back when it raises."""
        with self._one_writer, self._write_engine.connect() as connection, connection.begin():
            transaction = Transaction(connection, self.clock)
            yield transaction
            transaction.flush()

    @contextmanager
    def write_plainly(self) -> Iterator[Any]:
        """The driver's cursor in a transaction of its own on SQLite, for statements written for the driver.

        The same connection each time: while nobody else writes, it need not read its pages again. As `write` it
        raises SQLAlchemy's OperationalError where the database does not answer.
        """
        assert self._is_sqlite, "PostgreSQL runs such statements at once"
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
        """Whether one statement can do what takes SQLite several: `run_at_once`."""
        return self._at_once_engine is not None

    def run_at_once(self, statement: str, values: Mapping[str, Any]) -> list[Any]:
        """The rows of one PostgreSQL statement, written for the driver, that commits by itself.

        It spares two round trips, and of SQLAlchemy it uses the pool alone: executing costs twice as much
        with the rest. Raises SQLAlchemy's OperationalError where the database does not answer.
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
                engine.dispose()  # what took this connection has most likely taken the others of the pool
            raise OperationalError(None, None, error) from error
        finally:
            if borrowed is not None:
                borrowed.close()

    @property
    def known_now(self) -> datetime | None:
        """The time of a clock that is not the database's own, which a statement had better ask itself."""
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
    """A stored document; {} where the text is none, so that one broken row does not fail a query for many."""
    try:
        return json.loads(text)
    except ValueError:
        return {}


SAFE: dict[str, Any] = {"hide_parameters": True, "json_deserializer": _read_json}
"""For every engine. The values of a statement stay out of its errors, and so out of the log."""


def _create_at_once_engine(url: URL) -> Engine:
    """Connections in autocommit: nothing is ever left open on them that would have to be rolled back."""
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
    # Neither the driver's nor SQLAlchemy's error is shown: they quote the URL, whose password may be what is wrong.
    if parsed is None or "@" in (parsed.host or ""):
        raise ValueError(
            "database: the URL cannot be read. Give a URL such as sqlite:///lehr.sqlite or "
            "postgresql://user:password@host:5432/lehr, and write @, / and : in a password as %40, %2F and %3A."
        )
    return parsed


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own BEGIN comes too late for a write lock: lehr says BEGIN itself.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # FULL, not NORMAL: an acknowledged report must survive a loss of power, too.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _prepare_at_once(connection: Any, _record: Any) -> None:
    connection.autocommit = True
    # Whatever the server's own default is: `hearing` counts on it.
    connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED")


def _begin_sqlite(connection: Any) -> None:
    writes = connection.get_execution_options().get("lehr_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

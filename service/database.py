"""The database's two doors: `read` and `write`. This is the one file that commits.

On SQLite a write begins with BEGIN IMMEDIATE behind a lock of this process, so that writers queue
here, fairly, and not in SQLite's busy handler; readers go on beside them (WAL). On PostgreSQL
writers are parted by the row lock of the study they write to (`lock_study`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Protocol

from sqlalchemy import Engine, create_engine, event, make_url, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.tables import Base, StudyRow

BUSY_TIMEOUT_SECONDS = 30
POOL_SIZE = 20
POOL_OVERFLOW = 30


class Clock(Protocol):
    def now(self, session: Session) -> datetime: ...


class DatabaseClock:
    """The database's own clock, so that servers with clocks of their own agree on every lease."""

    def now(self, session: Session) -> datetime:
        if session.get_bind().dialect.name == "sqlite":
            stamp = session.execute(text("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")).scalar_one()
            return datetime.fromisoformat(stamp).replace(tzinfo=UTC)
        now: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
        return now.astimezone(UTC)


@dataclass
class Transaction:
    """One unit of work. `now` is read once, at its first use."""

    session: Session
    clock: Clock

    @cached_property
    def now(self) -> datetime:
        return self.clock.now(self.session)

    def lock_study(self, study_id: str, *, skip_locked: bool = False) -> StudyRow | None:
        """The study's row, held until the transaction ends; None where there is none (or, asked to skip, it is held).

        Everything that writes to a study or to its trials takes this lock first. That one order
        makes deadlocks impossible and lets revisions be given out without gaps or races.
        """
        query = select(StudyRow).where(StudyRow.id == study_id).with_for_update(skip_locked=skip_locked)
        return self.session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()

    def upsert(self, table: type[Base], keys: list[str], rows: list[dict[str, Any]]) -> None:
        """Insert rows; where the keys are taken, the given columns replace the old ones. Keys must be distinct."""
        on_sqlite = self.session.get_bind().dialect.name == "sqlite"
        insert = sqlite.insert(table) if on_sqlite else postgresql.insert(table)
        replaced = {name: insert.excluded[name] for name in rows[0] if name not in keys}
        self.session.execute(insert.on_conflict_do_update(index_elements=keys, set_=replaced), rows)


class Database:
    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self.engine = create_engine_for(url)
        self.clock = clock or DatabaseClock()
        self._is_sqlite = self.engine.dialect.name == "sqlite"
        self._write_engine = self.engine.execution_options(lehr_write=True)
        self._one_writer: AbstractContextManager[Any] = threading.Lock() if self._is_sqlite else nullcontext()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent view; nothing is kept."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield Transaction(session, self.clock)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Committed when the block ends, rolled back when it raises."""
        with self._one_writer, Session(self._write_engine, expire_on_commit=False) as session:
            yield Transaction(session, self.clock)
            session.commit()

    def close(self) -> None:
        self.engine.dispose()


def create_engine_for(url: str) -> Engine:
    """An engine for a SQLite or PostgreSQL URL. Raises ValueError for any other."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, pool_size=POOL_SIZE, max_overflow=POOL_OVERFLOW)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        return create_engine(
            parsed,
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",
        )
    raise ValueError(
        f"database: unsupported kind {parsed.get_backend_name()!r} (allowed: sqlite, postgresql). "
        "Give a URL such as sqlite:///lehr.sqlite or postgresql://user@host/lehr."
    )


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


def _begin_sqlite(connection: Any) -> None:
    writes = connection.get_execution_options().get("lehr_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

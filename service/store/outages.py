"""Classifies a database's errors: it is unavailable, its disk is full, or the statement is wrong."""

from __future__ import annotations

import sqlite3
from typing import Literal

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

Outage = Literal["away", "full"]

DISK_FULL, READ_ONLY = "53100", "25006"
"""PostgreSQL's error codes: https://www.postgresql.org/docs/current/errcodes-appendix.html"""
FULL_IN_SQLITE = {"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE"}
"""SQLite's errors if the database's file or its shared memory cannot grow or be written to."""


def outage(error: BaseException) -> Outage | None:
    """The kind of outage; None if the statement itself is wrong."""
    if isinstance(error, PoolTimeoutError):
        return "away"
    if not isinstance(error, DBAPIError):
        return None
    original = error.orig
    state = getattr(original, "sqlstate", None)
    if state == DISK_FULL or _name(original) in FULL_IN_SQLITE:
        return "full"
    is_away = isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
    return "away" if is_away or state == READ_ONLY else None


def _name(original: BaseException | None) -> str | None:
    return getattr(original, "sqlite_errorname", None) if isinstance(original, sqlite3.Error) else None

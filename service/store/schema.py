"""Migrates the database's schema with Alembic, and checks its revision."""

from __future__ import annotations

import sqlite3
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from service.store.database import create_engine_for

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


class UnusableDatabaseError(Exception):
    """The database cannot be used or migrated. The message is one sentence for the operator."""


def alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config


def migrate(url: str, revision: str = "head") -> str | None:
    """Migrate the database to a revision, and return it. Safe to run concurrently.

    Raises UnusableDatabaseError.
    """
    before = revision_of(url)
    if before and not _is_known(before):
        raise UnusableDatabaseError(schema_fault(before))
    try:
        command.upgrade(alembic_config(url), revision)
    except (SQLAlchemyError, sqlite3.Error, CommandError) as error:
        raise UnusableDatabaseError(f"the migration failed: {_first_line(error)}") from error
    return revision_of(url)


def revision_of(url: str) -> str | None:
    """The revision of the database at a URL. Raises UnusableDatabaseError if it does not answer."""
    engine = create_engine_for(url)
    try:
        return stored_revision(engine)
    except (SQLAlchemyError, sqlite3.Error) as error:
        message = _first_line(error)
        if "not a database" in message or "malformed" in message:
            path = engine.url.database
            raise UnusableDatabaseError(f"{path} is not an SQLite database, or is damaged: {message}") from error
        raise UnusableDatabaseError(f"the database does not answer: {message}") from error
    finally:
        engine.dispose()


def schema_fault(stored: str | None) -> str:
    """What is wrong with a database whose revision is not this server's, and what to do."""
    if stored and not _is_known(stored):
        return (
            f"the database has schema {stored}, which this version of lehr does not know: a newer version wrote it; "
            "install that version, or use another database"
        )
    return f"the database has schema {stored or 'none'}, this server needs {newest_revision()}; run `lehr migrate`"


def _is_known(revision: str) -> bool:
    return any(script.revision == revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


def _first_line(error: Exception) -> str:
    """The first line of the driver's message, without the statement."""
    message = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    return message.strip().splitlines()[0] if message.strip() else type(error).__name__


def stored_revision(engine: Engine) -> str | None:
    """The database's revision; None if it has no schema."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


@cache
def newest_revision() -> str | None:
    """The revision that this server needs."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()

"""The database's schema and its newest revision, by Alembic."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from service.database import create_engine_for

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


def alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config


def migrate(url: str, revision: str = "head") -> str | None:
    """Bring the database to a revision; returns it. Safe to run at once from several places."""
    command.upgrade(alembic_config(url), revision)
    engine = create_engine_for(url)
    try:
        return stored_revision(engine)
    finally:
        engine.dispose()


def stored_revision(engine: Engine) -> str | None:
    """The database's revision; None where it has no schema."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


@cache
def newest_revision() -> str | None:
    """The revision that this server was written for."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()

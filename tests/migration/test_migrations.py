"""Migrations on real databases: up, down, and equal to the models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from service.store.database import create_engine_for
from service.store.schema import alembic_config, migrate, newest_revision, stored_revision
from service.store.tables import TRIALS, Base
from tests.support import postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.sqlite"
        return
    folder = request.getfixturevalue("postgres_cluster")
    postgres.execute(folder, "CREATE DATABASE migrations")
    yield postgres.url(folder, "migrations")
    postgres.execute(folder, "DROP DATABASE migrations WITH (FORCE)")


def tables(url: str) -> set[str]:
    engine = create_engine_for(url)
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_upgrade_makes_every_table_of_the_models(empty_url: str) -> None:
    assert migrate(empty_url) == newest_revision()
    assert tables(empty_url) == {*Base.metadata.tables, "alembic_version"}


def test_models_equal_migrations(empty_url: str) -> None:
    migrate(empty_url)
    engine = create_engine_for(empty_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        differences = compare_metadata(context, Base.metadata)
    engine.dispose()
    assert differences == []


def test_each_migration_goes_down_and_up_again(empty_url: str) -> None:
    migrate(empty_url)
    config = alembic_config(empty_url)
    command.downgrade(config, "base")
    assert tables(empty_url) == {"alembic_version"}
    assert migrate(empty_url) == newest_revision()
    assert tables(empty_url) == {*Base.metadata.tables, "alembic_version"}


def test_migrating_twice_changes_nothing(empty_url: str) -> None:
    assert migrate(empty_url) == migrate(empty_url)


def test_an_empty_database_has_no_revision(empty_url: str) -> None:
    engine = create_engine_for(empty_url)
    assert stored_revision(engine) is None
    engine.dispose()


def test_no_index_has_a_column_that_a_report_changes() -> None:
    indexed = {column.name for index in TRIALS.indexes for column in index.columns}
    assert not indexed & {"revision", "horizon_steps", "step", "checkpoint", "progress"}

"""A database that this version cannot use gets a one-sentence error, without a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from service.store.database import create_engine_for
from service.store.schema import UnusableDatabaseError, migrate
from tests.migration.test_migrations import empty_url

__all__ = ["empty_url"]


def run(*arguments: str) -> str:
    """What a command that fails says on stderr."""
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def make_newer(url: str) -> None:
    migrate(url)
    engine = create_engine_for(url).execution_options(lehr_write=True)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999_later'"))
    engine.dispose()


def test_a_newer_schema_is_refused_by_name_on_both_databases(empty_url: str) -> None:
    make_newer(empty_url)
    with pytest.raises(UnusableDatabaseError, match="has schema 9999_later, which this version of lehr does not know"):
        migrate(empty_url)


@pytest.mark.parametrize("command", [("migrate",), ("serve", "--port", "0"), ("serve", "--port", "0", "--migrate")])
def test_every_command_says_that_the_database_is_newer(tmp_path: Path, command: tuple[str, ...]) -> None:
    url = f"sqlite:///{tmp_path}/newer.sqlite"
    make_newer(url)
    said = run("service", *command, "--database", url)
    assert len(said.splitlines()) == 1
    assert "9999_later" in said
    assert "a newer version wrote it" in said


@pytest.mark.parametrize("command", [("migrate",), ("serve", "--port", "0"), ("serve", "--port", "0", "--migrate")])
def test_every_command_says_that_a_file_is_no_database(tmp_path: Path, command: tuple[str, ...]) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are notes and no database\n" * 100)
    said = run("service", *command, "--database", f"sqlite:///{path}")
    assert len(said.splitlines()) == 1
    assert f"{path} is not an SQLite database" in said
    assert path.read_text().startswith("these are notes")


def test_up_says_it_as_well(tmp_path: Path) -> None:
    (tmp_path / "lehr.sqlite").write_text("these are notes and no database\n" * 100)
    said = run("lehr.cli", "up", "--data", str(tmp_path), "--port", "0", "--workers", "0")
    assert "is not an SQLite database" in said

"""Database fixtures: SQLite and PostgreSQL, empty for each test."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import postgres

_counter = itertools.count()

# A slow machine is no failure. CI draws the same examples each time, so that what fails there fails everywhere;
# elsewhere every run looks at new ones, and prints what repeats a failure.
settings.register_profile("anywhere", deadline=None, print_blob=True)
settings.register_profile("ci", parent=settings.get_profile("anywhere"), derandomize=True)
settings.register_profile("thousand", parent=settings.get_profile("anywhere"), max_examples=1000)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "anywhere")


def missing(what: str) -> None:
    """Skip for a user, fail in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} (in CI this is a failure, elsewhere the test is skipped)")
    pytest.skip(what)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the newest schema."""
    from service.store.schema import migrate

    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[str]:
    """A private cluster whose database `template_lehr` has the newest schema; gives its folder of sockets."""
    try:
        postgres.binaries()
    except postgres.PostgresAbsentError as error:
        missing(str(error))
    from service.store.schema import migrate

    with postgres.cluster() as folder:
        postgres.execute(folder, "CREATE DATABASE template_lehr")
        migrate(postgres.url(folder, "template_lehr"))
        yield folder


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    path = tmp_path / "lehr.sqlite"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres_cluster: str) -> Iterator[str]:
    name = f"lehr_{next(_counter)}"
    postgres.execute(postgres_cluster, f"CREATE DATABASE {name} TEMPLATE template_lehr")
    yield postgres.url(postgres_cluster, name)
    postgres.execute(postgres_cluster, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database with the newest schema, of each kind in turn."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(autouse=True, scope="session")
def quiet_logs() -> None:
    """Log lines of servers in this process only where something went wrong."""
    from service import logs

    logs.configure("error", "console")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-kill", action="store_true", help="kill trainings of every built-in model with every optimizer"
    )

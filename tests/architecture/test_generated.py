"""Generated files are up to date with the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from alembic import command

from service.store.schema import alembic_config, migrate
from tests.architecture.sources import ROOT, document
from tools import builtin_tasks


def test_the_openapi_snapshot_is_the_servers_own() -> None:
    program = [sys.executable, "-m", "service", "openapi"]
    printed = subprocess.run(program, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert document("docs/reference/openapi.json") == printed, (
        "the contract changed: run make snapshot and look at the diff"
    )


def test_the_server_knows_the_built_in_tasks_as_their_workers_offer_them() -> None:
    assert document("service/builtin_tasks.json") == builtin_tasks.document(), "a task changed: run make snapshot"


def test_the_migrations_lead_to_the_tables_of_the_code(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'lehr.sqlite'}"
    migrate(url)
    command.check(alembic_config(url))  # raises when a new migration would have something to do

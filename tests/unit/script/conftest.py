"""A listening server, and a study of a task that only scripts train."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lehr.client import Client
from tests.support.live import listening

SPEC: dict[str, Any] = {
    "task": {"name": "script:parabola", "params": {"target": 3.0}},
    "space": {"families": ["constant", "cosine", "one_cycle"], "start_lr": {"low": 1e-3, "high": 0.4}},
    "objective": {"metric": "loss", "direction": "minimize"},
    "sampler": {"name": "random", "seed": 0},
    "budget": {"trials": 3, "parallel": 3},
    "confirm": None,
}


@pytest.fixture(scope="module")
def url(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("script") / "lehr.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    with listening(f"sqlite:///{path}") as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as opened:
        yield opened


@pytest.fixture
def spec(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {**SPEC, "name": request.node.name[:200]}

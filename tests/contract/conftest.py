from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tests.support.ledgers import FakeClock, FakeWorker, serving


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def client(database_url: str, clock: FakeClock) -> Iterator[TestClient]:
    with serving(database_url, clock) as client:
        yield client


@pytest.fixture
def worker(client: TestClient) -> FakeWorker:
    return FakeWorker(client)

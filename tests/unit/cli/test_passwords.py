"""A password in a server's URL is shown to nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lehr.client.exchange import masked
from tests.unit.cli.conftest import Stub, lehr
from tests.unit.client.stub import study


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@lehr.example:8765/x", "https://***@lehr.example:8765/x"),
        ("http://secret@host", "http://***@host"),
        ("http://me:se@cr/et?#@host", "http://***@host"),
        ("me:secret@host:8765", "***@host:8765"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
    ],
)
def test_user_and_password_are_masked(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize(
    "url", ["http://me:secret@127.0.0.1:9", "ftp://me:secret@host", "me:secret@host", "http://me:secret@x:y"]
)
def test_errors_mask_it(url: str) -> None:
    result = lehr("tasks", "--server", url)
    assert result.exit_code in (2, 3)
    assert "***@" in result.stderr
    assert "secret" not in result.output + result.stderr


def test_hints_mask_it(stub: Stub) -> None:
    stub.on("POST /v1/studies", study(), status=201)
    url = stub.url.replace("http://", "http://me:secret@")
    result = lehr("submit", "-", "--server", url, stdin="name: mine\n")
    assert "lehr watch s1 --server http://***@127.0.0.1" in result.stderr
    assert "secret" not in result.output + result.stderr


def test_a_worker_masks_a_url_that_it_refuses() -> None:
    # In a process of its own: a worker blocks signals, which everything started here later would inherit.
    command = [sys.executable, "-m", "workers", "--server", "ftp://me:secret@host"]
    refused = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2
    assert "ftp://***@host" in refused.stderr
    assert "secret" not in refused.stderr


def test_a_workers_log_masks_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as stream:
        worker = subprocess.Popen(
            [sys.executable, "-m", "workers", "--server", "http://me:secret@127.0.0.1:9", "--device", "cpu"],
            stderr=stream, env=dict(os.environ),
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while "worker_started" not in log.read_text() and worker.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    assert "http://***@127.0.0.1:9" in log.read_text()
    assert "secret" not in log.read_text()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@127.0.0.1:1/x",
        "postgresql://me:secret@127.0.0.1:port/x",
        "postgresql://me:sec@ret@127.0.0.1:1/x",
        "postgresql://me:sec/ret@127.0.0.1:1/x",
        "postgresql://me:secret",
        "postgresql://127.0.0.1:1/x?password=secret&user=me",
        "oracle://me:secret@127.0.0.1/x",
        "me:secret@127.0.0.1/x",
    ],
)
def test_a_server_masks_the_url_of_a_database_that_it_cannot_use(url: str) -> None:
    command = [sys.executable, "-m", "service", "serve", "--port", "0", "--database", url]
    refused = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert refused.returncode in (1, 2)
    assert "database" in refused.stderr
    assert not any(part in refused.stdout + refused.stderr for part in ("secret", "sec@", "ret@", "sec/"))

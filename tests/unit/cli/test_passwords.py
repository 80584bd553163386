"""Commands never show a password in a server's URL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path

import httpx
import pytest

from lehr.client import Client
from lehr.client.exchange import masked
from lehr.errors import InvalidValueError, ServerError
from tests.unit.cli.conftest import Stub, lehr
from tests.unit.client.stub import study
from workers.checkpoints.storage import open_storage
from workers.trainer import storable_error


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
    "location", ["https://me:secret@new.example/", "https://secret@new.example/", "/x?token=secret"]
)
def test_a_redirect_does_not_show_credentials(location: str) -> None:
    moved = httpx.MockTransport(lambda request: httpx.Response(307, headers={"Location": location}))
    with Client("http://lehr.test", transport=moved) as client, pytest.raises(ServerError, match="Use ") as caught:
        client.tasks()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("user", ["me:secret", "secret"])
def test_no_log_line_of_a_call_shows_them_and_the_server_gets_them(user: str, caplog: pytest.LogCaptureFixture) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"items": [], "next_cursor": None})

    name, _, password = user.partition(":")
    with caplog.at_level("DEBUG"), Client(f"http://{user}@lehr.test", transport=httpx.MockTransport(answer)) as client:
        client.tasks()
    assert "lehr.test" in caplog.text
    assert "secret" not in caplog.text
    assert asked[0].headers["Authorization"] == f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"


@pytest.mark.parametrize("user", ["me:secret", "secret"])
def test_a_mirror_that_does_not_answer_is_named_without_them(user: str, tmp_path: Path) -> None:
    mirror = f"http://{user}@127.0.0.1:9/files"
    result = lehr("data", "get", "mnist", "--url", mirror, "--data-dir", str(tmp_path))
    assert result.exit_code == 1
    assert "127.0.0.1:9/files" in result.stderr
    assert "secret" not in result.output + result.stderr


def test_the_error_of_a_trial_that_is_sent_to_the_server_shows_none() -> None:
    text = "OSError: https://me:secret@data.example/x.csv and https://secret@data.example/x.csv do not answer"
    shown = "OSError: https://me:***@data.example/x.csv and https://***@data.example/x.csv do not answer"
    assert storable_error(text) == shown


def test_a_place_of_checkpoints_that_cannot_be_used_is_named_without_them() -> None:
    with pytest.raises(InvalidValueError) as caught:
        open_storage("nonsense://me:secret@host/checkpoints")
    assert "nonsense://me:***@host/checkpoints" in str(caught.value)
    assert "secret" not in str(caught.value)


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
@pytest.mark.parametrize("command", [("service", "serve", "--port", "0"), ("lehr.cli", "migrate")])
def test_a_server_masks_the_url_of_a_database_that_it_cannot_use(command: tuple[str, ...], url: str) -> None:
    command = (sys.executable, "-m", *command, "--database", url)
    refused = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert refused.returncode in (1, 2)
    assert "database" in refused.stderr
    assert not any(part in refused.stdout + refused.stderr for part in ("secret", "sec@", "ret@", "sec/"))

"""A small HTTP server for commands to call, and a fixture that runs commands."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lehr.cli.app import app


class Stub:
    """Answers by method and path; of several answers to one call the last is given for ever."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.bodies: dict[str, list[Any]] = {}
        self.url = ""

    def on(self, call: str, *answers: Any, status: int = 200) -> None:
        self.answers[call] = [(status, answer) for answer in answers]

    def answer(self, call: str, body: bytes) -> tuple[int, Any]:
        self.bodies.setdefault(call, []).append(json.loads(body) if body else None)
        waiting = self.answers.get(call)
        if not waiting:
            return 404, {"type": "about:blank", "title": "not found", "status": 404, "detail": call}
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


@pytest.fixture
def stub() -> Iterator[Stub]:
    scripted = Stub()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, document = scripted.answer(f"{self.command} {self.path.split('?')[0]}", body)
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, *arguments: object) -> None:
            """Nothing: the test's output stays clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    scripted.url = f"http://127.0.0.1:{server.server_port}"
    yield scripted
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    from lehr.cli.settings import VARIABLES

    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")


def lehr(*arguments: str, stdin: str | None = None) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, list(arguments), input=stdin)

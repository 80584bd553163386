"""A local server of published data files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Mirror:
    """Serves `files` by path. `breaks_after`: so many bytes of a body are sent, then the connection ends; with
    `holds`, only once `let_go` is set.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.breaks_after: int | None = None
        self.holds = False
        self.let_go = threading.Event()
        self.resumes = True
        self.url = ""

    def answer(self, path: str, asked: str | None) -> tuple[int, dict[str, str], bytes]:
        self.asked.append((path, asked))
        content = self.files.get(path)
        if content is None:
            return 404, {}, b""
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.resumes else 0
        if start and start >= len(content):
            return 416, {}, b""
        held = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        return (206 if start else 200), held, content[start:]


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    scripted = Mirror()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = scripted.answer(self.path, self.headers.get("Range"))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: scripted.breaks_after])
            if scripted.holds:
                self.wfile.flush()
                scripted.let_go.wait(30)

        def log_message(self, *arguments: object) -> None:
            """Nothing: the test's output stays clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    scripted.url = f"http://127.0.0.1:{server.server_port}/files"
    yield scripted
    server.shutdown()
    thread.join()
    server.server_close()

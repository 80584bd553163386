"""A server on a real socket refuses oversized and slow requests, and answers others meanwhile."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.support.ledgers import study_spec
from tests.support.live import listening

MIB = 2**20
SECONDS = 0.6
HOST = b"Host: 127.0.0.1\r\n"
POST = b"POST /v1/studies HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"


@pytest.fixture
def url(sqlite_url: str) -> Iterator[str]:
    with listening(sqlite_url, receive_seconds=SECONDS) as url:
        yield url


class Connection:
    def __init__(self, url: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", httpx.URL(url).port), timeout=20)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        """As far as the server takes it."""
        with suppress(ConnectionError):
            for piece in pieces:
                self.socket.sendall(piece)
                time.sleep(pause)

    def answer(self) -> tuple[int, dict[str, Any]]:
        """Status and document of all that comes until the server closes; 0 where it only closes."""
        received = b""
        with suppress(ConnectionError):
            while piece := self.socket.recv(65_536):
                received += piece
        if not received:
            return 0, {}
        head, _, body = received.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body) if body else {}


def refused(answer: tuple[int, dict[str, Any]], status: int) -> None:
    found, problem = answer
    assert found == problem["status"] == status
    (fault,) = problem["errors"]
    assert fault["bound"]
    assert fault["remedy"]


def many(piece: bytes, count: int) -> list[bytes]:
    return [piece * (MIB // len(piece))] * count


CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "request line": [b"GET /v1/studies?x=", *many(b"x", 60)],
    "header": [b"GET /healthz HTTP/1.1\r\n", HOST, b"X: ", *many(b"x", 60)],
    "headers": [b"GET /healthz HTTP/1.1\r\n", HOST, *many(b"X: y\r\n", 60)],
    "empty lines": many(b"\r\n", 60),
    "chunk extension": [CHUNKED, b"2;", *many(b"x", 60)],
    "trailer": [CHUNKED, b"2\r\n{}\r\n0\r\nX: ", *many(b"x", 60)],
    "trailers": [CHUNKED, b"2\r\n{}\r\n0\r\n", *many(b"X: y\r\n", 60)],
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_request_without_end_is_refused_at_once_and_keeps_nobody_waiting(url: str, kind: str) -> None:
    waits: list[float] = []
    ended = threading.Event()

    def call_again_and_again() -> None:
        with httpx.Client() as client:
            while not ended.is_set():
                started = time.perf_counter()
                assert client.get(f"{url}/healthz").status_code == 200
                waits.append(time.perf_counter() - started)

    other = threading.Thread(target=call_again_and_again)
    other.start()
    started = time.perf_counter()
    try:
        with Connection(url) as connection:
            connection.send(*ENDLESS[kind])
            refused(connection.answer(), 431)
    finally:
        ended.set()
        other.join()
    assert time.perf_counter() - started < 6
    assert max(waits) < 2


@pytest.mark.parametrize(("length", "status"), [(60_000, 422), (70_000, 431)])
@pytest.mark.parametrize("part", ["line", "headers"])
def test_the_line_and_the_headers_take_64_kibibytes(url: str, part: str, length: int, status: int) -> None:
    name, value = (b"x", b"x" * length) if part == "line" else (b"y", b"")
    headers = b"" if part == "line" else b"".join(b"X%d: %s\r\n" % (n, b"x" * (length // 10)) for n in range(10))
    with Connection(url) as connection:
        query = b"GET /v1/studies?" + name + b"=" + value
        connection.send(query + b" HTTP/1.1\r\n" + HOST + headers + b"Connection: close\r\n\r\n")
        assert connection.answer()[0] == status


def test_what_is_no_http_is_a_bad_request(url: str) -> None:
    with Connection(url) as connection:
        connection.send(b"hello\r\n\r\n")
        status, problem = connection.answer()
    assert (status, problem["type"]) == (400, "urn:lehr:problem:bad-request")


STALLED = {
    "head": b"GET /healthz HTTP/1.1\r\nHost: 127.",
    "head after an answered request": b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\nGET /heal",
    "body": POST + b'Content-Length: 100\r\n\r\n{"name',
    "body that never begins": POST + b"Content-Length: 100\r\n\r\n",
    "chunked body": CHUNKED + b'7\r\n{"name"\r\n',
}


@pytest.mark.parametrize("kind", STALLED)
def test_a_request_that_stops_half_way_is_told_so_and_closed(url: str, kind: str) -> None:
    started = time.monotonic()
    with Connection(url) as connection:
        connection.send(STALLED[kind])
        if "answered" in kind:
            assert b"ok" in connection.socket.recv(65_536)
        refused(connection.answer(), 408)
    assert SECONDS < time.monotonic() - started < SECONDS + 2


def test_a_silent_connection_is_closed(url: str) -> None:
    started = time.monotonic()
    with Connection(url) as connection:
        assert connection.answer() == (0, {})
    assert SECONDS * 0.9 < time.monotonic() - started < SECONDS + 2


DRIPPED = {
    "head": (b"GET /healthz HTTP/1.1\r\nX: ", b"x", 1),
    "empty lines": (b"", b"\r\n", 1),
    "body": (POST + b"Content-Length: 100000\r\n\r\n", b" ", 10),
    "chunk extension": (CHUNKED + b"2;", b"x", 10),
}


@pytest.mark.parametrize("kind", DRIPPED)
def test_a_request_that_comes_in_drops_is_closed_as_well(url: str, kind: str) -> None:
    start, drop, factor = DRIPPED[kind]
    started = time.monotonic()
    with Connection(url) as connection:
        connection.send(start, *[drop] * 400, pause=SECONDS / 10)
        assert connection.answer()[0] in (408, 0)  # 0: what was sent after the answer made the system drop it
    assert time.monotonic() - started < factor * SECONDS * 1.5 + 3


def test_a_slow_request_within_the_bounds_is_answered(url: str) -> None:
    body = json.dumps(study_spec()).encode()
    pieces = [body[at : at + 40] for at in range(0, len(body), 40)]
    with Connection(url) as connection:
        connection.send(POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body))
        connection.send(*pieces, pause=SECONDS / 3)
        status, study = connection.answer()
    assert (status, study["name"]) == (201, "small")


def test_an_answer_may_take_longer_than_a_request(url: str) -> None:
    claim = {
        "worker": {"id": "w", "name": "w", "device": "cpu", "tasks": ["digits"], "labels": {}},
        "max_trials": 1,
        "wait_seconds": 3 * SECONDS,
    }
    started = time.monotonic()
    assert httpx.post(f"{url}/v1/leases", json=claim).status_code == 204
    assert time.monotonic() - started >= 3 * SECONDS


def test_requests_that_are_sent_without_waiting_are_all_answered(url: str) -> None:
    body = json.dumps(study_spec()).encode()
    post = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    last = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    with Connection(url) as connection:
        connection.send(post * 3 + last)
        received = b""
        while piece := connection.socket.recv(65_536):
            received += piece
    assert received.count(b"HTTP/1.1 201 Created") == 3
    assert received.endswith(b'{"status":"ok"}')


def test_a_body_that_nobody_reads_is_bounded_as_well(url: str) -> None:
    started = time.monotonic()
    with Connection(url) as connection:
        connection.send(b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 100\r\n\r\n")
        status, problem = connection.answer()
    assert (status, problem["title"]) == (404, "Not Found")
    assert time.monotonic() - started < SECONDS + 2

"""Two clients for the worker protocol: a bare socket and lehr's own client."""

from __future__ import annotations

import json
import os
import socket
from typing import Any, Protocol
from urllib.parse import urlsplit

from lehr.client import Client
from lehr.wire.leases import Claim, FinishBatch, ReportBatch


class Caller(Protocol):
    """Speaks the worker protocol; leases are plain documents."""

    def claim(self, request: dict[str, Any]) -> dict[str, Any]: ...
    def say(self, lease_id: str, verb: str, body: dict[str, Any]) -> None: ...


class PlainCaller:
    """One kept-alive connection; a request is one write, so that hardly any of the figure is the caller's.

    Only claims carry an idempotency key: a report or a finish is safe to repeat by its (trial, attempt). Of an
    answer's head the status and the length are read; the library's reader of mail headers takes .1 ms for them.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 80))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")

    def claim(self, request: dict[str, Any]) -> dict[str, Any]:
        lease: dict[str, Any] = self._post("/v1/leases", request, f"Idempotency-Key: {os.urandom(8).hex()}\r\n")
        return lease

    def say(self, lease_id: str, verb: str, body: dict[str, Any]) -> None:
        self._post(f"/v1/leases/{lease_id}/{verb}", body)

    def _post(self, path: str, body: dict[str, Any], headers: str = "") -> Any:
        payload = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"{headers}Content-Length: {len(payload)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + payload)
        status = int(self._answers.readline().split()[1])
        text = self._answers.read(self._length())
        assert status < 300, text
        return json.loads(text)

    def _length(self) -> int:
        """The answer's, of which the head is read to its end."""
        length = 0
        while (line := self._answers.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return length


class ClientCaller:
    """lehr's own client, models and all."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def claim(self, request: dict[str, Any]) -> dict[str, Any]:
        lease = self._client.claim(Claim.model_validate(request))
        assert lease is not None
        return lease.model_dump(mode="json")

    def say(self, lease_id: str, verb: str, body: dict[str, Any]) -> None:
        if verb == "report":
            self._client.report(lease_id, ReportBatch.model_validate(body))
        else:
            self._client.finish(lease_id, FinishBatch.model_validate(body))

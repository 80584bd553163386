"""Two ways to speak the worker protocol: over a bare socket, and with lehr's own client."""

from __future__ import annotations

import http.client
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
    """One kept-alive connection; a request is one write, so that hardly any of the figure is the caller's."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 80))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")

    def claim(self, request: dict[str, Any]) -> dict[str, Any]:
        lease: dict[str, Any] = self.post("/v1/leases", request)
        return lease

    def say(self, lease_id: str, verb: str, body: dict[str, Any]) -> None:
        self.post(f"/v1/leases/{lease_id}/{verb}", body)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        payload = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"Idempotency-Key: {os.urandom(8).hex()}\r\nContent-Length: {len(payload)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + payload)
        status = int(self._answers.readline().split()[1])
        headers = http.client.parse_headers(self._answers)
        text = self._answers.read(int(headers["Content-Length"]))
        assert status < 300, text
        return json.loads(text)


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

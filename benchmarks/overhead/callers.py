"""Two ways to speak the worker protocol: with the standard library alone, and with lehr's own client."""

from __future__ import annotations

import http.client
import json
import os
from typing import Any, Protocol
from urllib.parse import urlsplit

from lehr.client import Client
from lehr.wire.leases import Claim, FinishBatch, ReportBatch


class Caller(Protocol):
    """Speaks the worker protocol; leases are plain documents."""

    def claim(self, request: dict[str, Any]) -> dict[str, Any]: ...
    def say(self, lease_id: str, verb: str, body: dict[str, Any]) -> None: ...


class PlainCaller:
    """One kept-alive connection of the standard library's client."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc)

    def claim(self, request: dict[str, Any]) -> dict[str, Any]:
        lease: dict[str, Any] = self.post("/v1/leases", request)
        return lease

    def say(self, lease_id: str, verb: str, body: dict[str, Any]) -> None:
        self.post(f"/v1/leases/{lease_id}/{verb}", body)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json", "Idempotency-Key": os.urandom(8).hex()}
        self._connection.request("POST", path, json.dumps(body), headers)
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status < 300, text
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

"""The calls of both clients for looks at data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from lehr.client import calls
from lehr.client.call import Call, Result
from lehr.wire.looks import Look, LookAnswer, LookClaim, LookOrder

WAIT_SECONDS = 10.0


class Looks(ABC):
    """The synchronous calls."""

    def look(self, task: str, params: Mapping[str, Any] | None = None, *, wait_seconds: float = WAIT_SECONDS) -> Look:
        """Ask a worker that has the data how the task would read it. Waits up to `wait_seconds` for the answer; call
        `find_look` for a look that is not finished by then.
        """
        return self._send(calls.look(task, params or {}, wait_seconds))

    def find_look(self, look_id: str) -> Look:
        return self._send(calls.find_look(look_id))

    def claim_look(self, claim: LookClaim) -> LookOrder | None:
        """For workers: a look to answer, or None if none is requested while the claim waits."""
        return self._send(calls.claim_look(claim))

    def answer_look(self, look_id: str, answer: LookAnswer) -> Look:
        return self._send(calls.answer_look(look_id, answer))

    @abstractmethod
    def _send(self, call: Call[Result]) -> Result: ...


class AsyncLooks(ABC):
    """The same calls, asynchronous."""

    async def look(
        self, task: str, params: Mapping[str, Any] | None = None, *, wait_seconds: float = WAIT_SECONDS
    ) -> Look:
        """As `Client.look`."""
        return await self._send(calls.look(task, params or {}, wait_seconds))

    async def find_look(self, look_id: str) -> Look:
        return await self._send(calls.find_look(look_id))

    async def claim_look(self, claim: LookClaim) -> LookOrder | None:
        return await self._send(calls.claim_look(claim))

    async def answer_look(self, look_id: str, answer: LookAnswer) -> Look:
        return await self._send(calls.answer_look(look_id, answer))

    @abstractmethod
    async def _send(self, call: Call[Result]) -> Result: ...

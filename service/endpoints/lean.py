"""The short way for the calls that workers make all the time: past the framework and its middleware."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast, get_type_hints

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from lehr.wire.base import ID_PATTERN
from service.measuring import STARTED
from service.openapi import DescribedApp
from service.services import Services
from service.strict_json import parse_strictly, too_long

THREADS = 40
"""As many as the framework takes for its own calls."""

JSON_HEADER = (b"content-type", b"application/json")

FAILED = "lehr.failed"
CALL = "lehr.call"


class LeanCall:
    """What an ordinary route of `(lease_id, body, services)` does, for the requests that ask for nothing special.

    The ordinary route is left with the rest: other ways to write the content type, query parameters, ids that are none,
    other methods.
    """

    def __init__(self, route: APIRoute, services: Services, threads: ThreadPoolExecutor, max_body_bytes: int) -> None:
        self.path = route.path
        self._call: Callable[..., BaseModel] = route.endpoint
        self._services = services
        self._threads = threads
        self._max_body_bytes = max_body_bytes
        self._pattern = re.compile(re.escape(route.path).replace(r"\{lease_id\}", f"({ID_PATTERN.strip('^$')})"))
        self._reader: TypeAdapter[Any] = TypeAdapter(_body_model(route.endpoint))
        self._answered = services.metrics.requests.labels("POST", route.path, 200)
        self._seconds = services.metrics.seconds.labels("POST", route.path)

    def lease_of(self, path: str) -> str | None:
        """The lease that a request to this path names; None where it is another call's."""
        found = self._pattern.fullmatch(path)
        return None if found is None else found[1]

    async def answer(self, lease_id: str, receive: Receive) -> bytes:
        """The answer's JSON."""
        body = parse_strictly(await self._body(receive))
        try:
            said = self._reader.validate_python(body)
        except ValidationError as error:
            faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors(include_url=False)]
            raise RequestValidationError(faults, body=body) from None
        # Not the framework's way into a thread, which takes twice as long: it can be cancelled, and has a limit to ask.
        answer = await asyncio.get_running_loop().run_in_executor(
            self._threads, self._call, lease_id, said, self._services
        )
        return answer.__pydantic_serializer__.to_json(answer)

    def measure(self, seconds: float) -> None:
        """Count an answer as the middleware would."""
        self._answered.inc()
        self._seconds.observe(seconds)

    async def _body(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._max_body_bytes:
                raise too_long(self._max_body_bytes)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)


class Application(DescribedApp):
    """The framework with a short way past it. What goes wrong there is answered as the framework answers errors."""

    lean_calls: Sequence[LeanCall] = ()

    def take_short_way(self, calls: Sequence[LeanCall]) -> None:
        self.lean_calls = calls
        self.router.routes.insert(0, _Failures())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _asks_for_nothing_special(scope):
            for call in self.lean_calls:
                if (lease_id := call.lease_of(scope["path"])) is not None:
                    await self._answer(call, lease_id, scope, receive, send)
                    return
        await super().__call__(scope, receive, send)

    async def _answer(self, call: LeanCall, lease_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        try:
            text = await call.answer(lease_id, receive)
        except Exception as error:  # noqa: BLE001 (whatever it is: the framework has the table of errors)
            await super().__call__({**scope, STARTED: started, CALL: call, FAILED: error}, receive, send)
            return
        headers = [(b"content-length", b"%d" % len(text)), JSON_HEADER]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})
        call.measure(time.perf_counter() - started)


class _Failures(BaseRoute):
    """Raises again what went wrong on the short way."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL, {"route": scope[CALL]}) if FAILED in scope else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise scope[FAILED]


def _asks_for_nothing_special(scope: Scope) -> bool:
    plain = scope["type"] == "http" and scope["method"] == "POST" and not scope["query_string"]
    return plain and JSON_HEADER in scope["headers"]


def _body_model(endpoint: Callable[..., Any]) -> type[BaseModel]:
    _lease_id, body, *_ = get_type_hints(endpoint).values()
    return cast("type[BaseModel]", body)

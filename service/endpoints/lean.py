"""The short way for the calls that workers make all the time: past the framework's routing and dependencies."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast, get_type_hints

from fastapi import Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from lehr.wire.base import ID_PATTERN
from service.services import Services
from service.strict_json import StrictRequest, parse_strictly

THREADS = 40
"""As many as the framework takes for its own calls."""

JSON_HEADER = (b"content-type", b"application/json")


class LeanRoute(BaseRoute):
    """What an ordinary route of `(lease_id, body, services)` does, for the requests that ask for nothing special.

    Stands before the ordinary route, which is left with the rest: other ways to write the content
    type, ids that are none, other methods.
    """

    def __init__(self, route: APIRoute, services: Services, threads: ThreadPoolExecutor) -> None:
        self.path = route.path
        self._call: Callable[..., BaseModel] = route.endpoint
        self._services = services
        self._threads = threads
        self._pattern = re.compile(re.escape(route.path).replace(r"\{lease_id\}", f"({ID_PATTERN.strip('^$')})"))
        self._reader: TypeAdapter[Any] = TypeAdapter(_body_model(route.endpoint))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope["method"] != "POST" or JSON_HEADER not in scope["headers"]:
            return Match.NONE, {}
        found = self._pattern.fullmatch(scope["path"])
        if found is None:
            return Match.NONE, {}
        return Match.FULL, {"route": self, "path_params": {"lease_id": found[1]}}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = parse_strictly(await StrictRequest(scope, receive).body())
        try:
            said = self._reader.validate_python(body)
        except ValidationError as error:
            faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors(include_url=False)]
            raise RequestValidationError(faults, body=body) from None
        # Not the framework's way into a thread, which takes twice as long: it can be cancelled, and has a limit to ask.
        lease_id = scope["path_params"]["lease_id"]
        answer = await asyncio.get_running_loop().run_in_executor(
            self._threads, self._call, lease_id, said, self._services
        )
        response = Response(answer.__pydantic_serializer__.to_json(answer), media_type="application/json")
        await response(scope, receive, send)


def _body_model(endpoint: Callable[..., Any]) -> type[BaseModel]:
    _lease_id, body, *_ = get_type_hints(endpoint).values()
    return cast("type[BaseModel]", body)

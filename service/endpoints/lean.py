"""The short way for the calls that workers make all the time."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any, cast, get_type_hints

from anyio.to_thread import run_sync
from fastapi import Request, Response
from pydantic import BaseModel, TypeAdapter, ValidationError

from lehr.wire.base import ID_PATTERN
from service.strict_json import StrictRequest, StrictRoute, parse_strictly, require_json


class LeanRoute(StrictRoute):
    """A route of `(lease_id, body, services)` that answers a model, without the dependency machinery.

    What is well formed goes the short way. Anything else is handed to the framework, body and
    all, and so gets the very problem document that every other call gives.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        endpoint = self.endpoint
        reader: TypeAdapter[Any] = TypeAdapter(_body_model(endpoint))

        async def handle_leanly(request: Request) -> Response:
            require_json(request, takes_body=True)
            strict = StrictRequest.of(request)
            lease_id = request.path_params["lease_id"]
            try:
                body = reader.validate_python(parse_strictly(await strict.body()))
            except ValidationError:
                return await handle(strict)
            if re.fullmatch(ID_PATTERN, lease_id) is None:
                return await handle(strict)
            answer: BaseModel = await run_sync(endpoint, lease_id, body, request.app.state.services)
            return Response(answer.__pydantic_serializer__.to_json(answer), media_type="application/json")

        return handle_leanly


def _body_model(endpoint: Callable[..., Any]) -> type[BaseModel]:
    _lease_id, body, *_ = get_type_hints(endpoint).values()
    return cast("type[BaseModel]", body)

"""Describes an HTTP request and how its response is parsed, without sending it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from lehr.errors import Fault, InvalidValueError, ServerError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Call(Generic[Result]):
    """A request and the type of its response.

    `repeatable`: the request is idempotent and may be retried.
    `patience_seconds`: extra time to wait for the response, for long polls.
    `on_lease`: a 409 means that the lease is lost.
    """

    method: str
    path: str
    answer: TypeAdapter[Result]
    params: Mapping[str, str | list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    repeatable: bool = True
    patience_seconds: float = 0.0
    on_lease: bool = False

    def read(self, status: int, content: bytes) -> Result:
        """Parse the response; a 204 is read as null. Raises ServerError if it is not a response of this API."""
        try:
            return self.answer.validate_json(b"null" if status == 204 else content)
        except ValidationError as error:
            problem = {
                "title": "not a response of lehr's API",
                "status": status,
                "detail": f"{self.method} {self.path}: {_first_line(error)}. Check that the URL belongs to a lehr "
                "server, and that this client is not older than the server.",
            }
            raise ServerError(status, problem) from error


@dataclass(frozen=True, slots=True)
class TextCall(Call[str]):
    """A request whose response is text, such as an SVG picture, instead of JSON."""

    def read(self, status: int, content: bytes) -> str:
        return content.decode()


def path(*segments: str | int) -> str:
    """The URL path of the segments. Each is quoted, so that an id cannot change the path."""
    return "/v1/" + "/".join(quote(str(segment), safe=":") for segment in segments)


def query(**params: Any) -> dict[str, str | list[str]]:
    """The parameters that are not None, in the form of a query string."""
    return {name: _query_value(value) for name, value in params.items() if value is not None}


def encode(document: Any) -> bytes:
    """Encode `document` as JSON. Raises InvalidValueError for values outside JSON, such as NaN and infinities."""
    try:
        return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise InvalidValueError(
            Fault(
                "",
                f"the request cannot be encoded as JSON: {error}",
                "JSON values with finite numbers",
                repr(document)[:200],
                "Use only finite numbers, strings, booleans, lists and objects.",
            )
        ) from error


def _query_value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _first_line(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in fault["loc"]) or "body"
    return f"{place}: {fault['msg']}"

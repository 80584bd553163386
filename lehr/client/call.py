"""One request, described without sending it."""

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
    """A request and how its answer is read.

    `repeatable`: sending it twice does no more than sending it once.
    `patience_seconds`: how much longer than usual the server may take, as for a long poll.
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
        """The answer's value; an empty 204 reads as null. Raises ServerError when it is not of this API."""
        try:
            return self.answer.validate_json(b"null" if status == 204 else content)
        except ValidationError as error:
            problem = {
                "title": "not an answer of lehr's API",
                "status": status,
                "detail": f"{self.method} {self.path}: {_first_line(error)}. Is the URL that of a lehr server, "
                "and is this client as new as it?",
            }
            raise ServerError(status, problem) from error


@dataclass(frozen=True, slots=True)
class TextCall(Call[str]):
    """A request whose answer is text, as a picture is, and not a document."""

    def read(self, status: int, content: bytes) -> str:
        return content.decode()


def path(*segments: str | int) -> str:
    """The path of segments, each quoted, so that an id never reaches past its place."""
    return "/v1/" + "/".join(quote(str(segment), safe=":") for segment in segments)


def query(**params: Any) -> dict[str, str | list[str]]:
    """The parameters that were given, as a query string takes them."""
    return {name: _query_value(value) for name, value in params.items() if value is not None}


def encode(document: Any) -> bytes:
    """`document` as JSON. Raises InvalidValueError for what JSON cannot carry, NaN and infinities above all."""
    try:
        return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise InvalidValueError(
            Fault(
                "",
                f"the request cannot be written as JSON: {error}",
                "JSON values, numbers finite",
                repr(document)[:200],
                "Send finite numbers, texts, booleans, lists and objects.",
            )
        ) from error


def _query_value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _first_line(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in fault["loc"]) or "body"
    return f"{place}: {fault['msg']}"

"""Parses requests strictly: refuses JSON values that databases would lose or change, and unknown query parameters.

Python's parser accepts NaN, Infinity, numbers that overflow to infinity, repeated keys and lone surrogates. Each of
them would later be lost, changed or refused, differently by each database. Unknown query parameters are refused
because `?validate_onyl=true` must not create a study.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Coroutine
from typing import Any

from anyio.to_thread import run_sync
from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from lehr.errors import Fault, InvalidValueError

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
MAX_DEPTH = 32
MAX_FAULTS = 20
"""The most faults that are collected, and that a problem document lists."""
MAX_INTEGER = 2**53 - 1
MAX_KEYS = 1000
"""In one object. No call needs more than 100."""
SAFE_DIGITS = 15
"""An integer with at most this many digits is below MAX_INTEGER."""
MAX_LENGTH_DIGITS = 20
SMALL_BODY_BYTES = 32 * 1024
"""Bodies up to this size are parsed in the event loop, larger bodies in a thread so that they do not block it."""


class MalformedBodyError(HTTPException):
    """The body is not JSON, or has values that lehr does not accept. `faults` says where."""

    def __init__(self, status: int, detail: str, faults: list[Fault] | None = None) -> None:
        super().__init__(status, detail)
        self.faults = faults or []


def too_long(limit: int, setting: str, size: int | None) -> MalformedBodyError:
    value = f"more than {limit} bytes" if size is None else f"{size} bytes"
    remedy = f"Send less in one call, or raise LEHR_{setting.upper()} on the server."
    message = f"the body is longer than the {limit} bytes that this call accepts"
    return MalformedBodyError(413, message, [Fault("", "is too long", f"at most {limit} bytes", value, remedy)])


class StrictRequest(Request):
    """A request whose body is limited in size and parsed by `parse_strictly`."""

    size_setting = "max_body_bytes"
    """The setting that limits the body's size."""

    async def body(self) -> bytes:
        """The whole body. Raises MalformedBodyError (413) as soon as it exceeds the call's limit."""
        if not hasattr(self, "_body"):
            limit: int = getattr(self.app.state, self.size_setting)
            announced = self.headers.get("content-length", "")
            if announced.isdecimal() and len(announced) < MAX_LENGTH_DIGITS and int(announced) > limit:
                raise too_long(limit, self.size_setting, int(announced))
            chunks: list[bytes] = []
            size = 0
            async for chunk in self.stream():
                size += len(chunk)
                if size > limit:
                    raise too_long(limit, self.size_setting, None)
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    async def json(self) -> Any:
        body = await self.body()
        if len(body) <= SMALL_BODY_BYTES:
            return parse_strictly(body)
        return await run_sync(parse_strictly, body)


class BulkRequest(StrictRequest):
    """A request that may have a larger body."""

    size_setting = "max_report_bytes"


class StrictRoute(APIRoute):
    """A route that parses its body strictly and refuses query parameters that it does not declare."""

    request_class: type[StrictRequest] = StrictRequest

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        known = _query_names(self.dependant)

        async def handle_strictly(request: Request) -> Response:
            require_json(request, takes_body=self.body_field is not None)
            require_known_parameters(request, known)
            return await handle(self.request_class(request.scope, request.receive))

        return handle_strictly


class BulkRoute(StrictRoute):
    """A route for calls with the reports or results of many trials, whose bodies may be larger."""

    request_class = BulkRequest


def require_json(request: Request, *, takes_body: bool) -> None:
    """Raises MalformedBodyError (415) for a body that is not declared as JSON, and for any form.

    Other sites' pages can post HTML forms without a CORS preflight request, but not JSON.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    is_form = kind in FORM_TYPES and request.headers.get("content-length") != "0"
    if (takes_body and not is_json) or is_form:
        remedy = "send it with Content-Type: application/json" if takes_body else "this call accepts no body"
        raise MalformedBodyError(415, f"the body's content type is {kind[:100] or 'missing'!r}; {remedy}")


def require_known_parameters(request: Request, known: set[str]) -> None:
    """Raises InvalidValueError for query parameters that are not known."""
    faults = [
        Fault(
            name,
            "is not a parameter of this call",
            f"one of {', '.join(sorted(known))}" if known else "no parameters",
            value,
            "Remove the parameter, or fix its name.",
        )
        for name, value in request.query_params.items()
        if name not in known
    ]
    if faults:
        raise InvalidValueError(faults)


def _query_names(dependant: Dependant) -> set[str]:
    names = {field.alias for field in dependant.query_params}
    return names.union(*(_query_names(dependency) for dependency in dependant.dependencies))


def parse_strictly(body: bytes) -> Any:
    """Raises MalformedBodyError: 400 for a body that is not JSON, 422 for values that cannot be stored."""
    reader = _Reader()
    try:
        parsed = reader.read(body.decode("utf-8"))
    except MalformedBodyError:
        raise
    except RecursionError:
        raise MalformedBodyError(400, f"the body is nested too deeply (at most {MAX_DEPTH} levels)") from None
    except ValueError as error:
        raise MalformedBodyError(400, f"the body is not valid JSON: {error}") from None
    faults: list[Fault] = []
    # NULs and surrogates can come only from escapes. The values are checked one by one only if something unusual was
    # seen, because that costs more than parsing.
    if reader.saw_unusual_number or b"\\u" in body or _is_deep(parsed, MAX_DEPTH):
        _examine(parsed, "", 0, faults)
    if faults:
        raise MalformedBodyError(422, "the body contains values that cannot be stored", faults)
    return parsed


class _Reader:
    """Parses JSON and remembers whether any number needs to be checked."""

    def __init__(self) -> None:
        self.saw_unusual_number = False

    def read(self, text: str) -> Any:
        return json.loads(
            text,
            object_pairs_hook=_without_repeated_keys,
            parse_constant=self._constant,
            parse_float=self._float,
            parse_int=self._int,
        )

    def _constant(self, name: str) -> float:
        self.saw_unusual_number = True
        return float(name)

    def _float(self, digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            self.saw_unusual_number = True
        return value

    def _int(self, digits: str) -> int:
        if len(digits) > SAFE_DIGITS:
            self.saw_unusual_number = True
        return int(digits)


def _is_deep(value: Any, levels: int) -> bool:
    """Whether containers are nested more than `levels` deep. Goes level by level, which is faster than recursion."""
    containers = [value] if isinstance(value, dict | list) else []
    for _ in range(levels + 1):
        if not containers:
            return False
        inner = (container.values() if type(container) is dict else container for container in containers)
        containers = [value for values in inner for value in values if type(value) is dict or type(value) is list]
    return bool(containers)


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_KEYS:
        raise _too_many_keys(pairs)
    parsed: dict[str, Any] = {}
    for key, value in pairs:
        if key in parsed:
            raise MalformedBodyError(400, f"the key {ascii(key)[:100]} is repeated in one object; send it once")
        parsed[key] = value
    return parsed


def _too_many_keys(pairs: list[tuple[str, Any]]) -> MalformedBodyError:
    field, bound = ascii(pairs[0][0])[1:-1][:100], f"at most {MAX_KEYS} keys in one object"
    fault = Fault(field, "is the first key of an object with too many keys", bound, len(pairs), "Send fewer keys.")
    return MalformedBodyError(422, f"an object in the body has {len(pairs)} keys; {bound} are accepted", [fault])


def _examine(value: Any, field: str, depth: int, faults: list[Fault]) -> None:
    if len(faults) >= MAX_FAULTS:
        return
    if depth > MAX_DEPTH:
        faults.append(
            Fault(field[:200], "is nested too deeply", f"at most {MAX_DEPTH} levels", "…", "Flatten the value.")
        )
    elif isinstance(value, dict):
        for key, inner in value.items():
            _examine_text(key, f"{field}.(key)" if field else "(key)", faults)
            _examine(inner, f"{field}.{key}" if field else key, depth + 1, faults)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _examine(inner, f"{field}[{index}]", depth + 1, faults)
    elif isinstance(value, str):
        _examine_text(value, field, faults)
    elif not isinstance(value, bool) and isinstance(value, int | float):
        _examine_number(value, field, faults)


def _examine_number(value: int | float, field: str, faults: list[Fault]) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        faults.append(
            Fault(field, "is not a finite number", "a finite double", str(value), "Send null if there is no number.")
        )
    elif isinstance(value, int) and abs(value) > MAX_INTEGER:
        shown = str(value) if abs(value) < 10**30 else f"an integer of {value.bit_length()} bits"
        faults.append(
            Fault(
                field,
                "is an integer that some JSON parsers cannot represent exactly",
                f"-{MAX_INTEGER} to {MAX_INTEGER}",
                shown,
                "Send a smaller integer, or a string.",
            )
        )


def _examine_text(text: str, field: str, faults: list[Fault]) -> None:
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        faults.append(
            Fault(
                field,
                "contains a NUL or a lone surrogate",
                "Unicode text without U+0000",
                ascii(text)[:100],
                "Remove the character.",
            )
        )

"""Answers every error with a problem document (RFC 9457). Holds the only table of error classes and statuses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from reprlib import Repr
from typing import Any, get_args

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from lehr.errors import (
    ConflictError,
    Fault,
    IdempotencyError,
    InvalidScheduleError,
    InvalidSpaceError,
    InvalidStudyError,
    InvalidValueError,
    LehrError,
    LostLeaseError,
    NotFoundError,
    TooManyError,
    suggest,
)
from service.http.strict_json import MAX_FAULTS, MalformedBodyError
from service.store.outages import outage

MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[LehrError], tuple[int, str]] = {
    NotFoundError: (404, "not-found"),
    LostLeaseError: (409, "lost"),
    ConflictError: (409, "conflict"),
    IdempotencyError: (422, "idempotency-key-reused"),
    InvalidScheduleError: (422, "invalid-schedule"),
    InvalidSpaceError: (422, "invalid-space"),
    InvalidStudyError: (422, "invalid-study"),
    TooManyError: (429, "too-many"),
    InvalidValueError: (422, "invalid-value"),
}
"""Status and kind of each error class. A subclass comes before its base class."""

DISK_IS_FULL = (
    "the database's disk is full, so nothing was recorded; free space on the server's disk "
    "(or on the database's disk, if it runs on another machine), then repeat the call"
)

SUMMARISED = 3
SUMMARY_CHARACTERS = 300
MAX_VALUE_CHARACTERS = 200
MAX_TEXT_CHARACTERS = 1000
"""Limit for a field's name, a message and a bound: all of them may repeat what the client sent."""

BOUNDS = {
    "greater_than": ("> {gt}", "Give a larger value."),
    "greater_than_equal": (">= {ge}", "Give a larger value."),
    "less_than": ("< {lt}", "Give a smaller value."),
    "less_than_equal": ("<= {le}", "Give a smaller value."),
    "string_too_long": ("at most {max_length} characters", "Shorten the text."),
    "string_too_short": ("at least {min_length} characters", "Lengthen the text."),
    "too_long": ("at most {max_length} entries", "Send fewer entries."),
    "too_short": ("at least {min_length} entries", "Send more entries."),
    "string_pattern_mismatch": ("text that matches {pattern}", "Use the allowed characters only."),
    "literal_error": ("one of {expected}", "Choose one of the allowed values."),
    "measurement": (
        "-{largest} to {largest}",
        "Send a number within the bound. In a report, send null for a larger or non-finite value: its trial DIVERGED.",
    ),
    "missing": ("required", "Add the field."),
    "extra_forbidden": ("no such field", "Remove the field, or fix its name."),
    "int_parsing": ("an integer", "Send an integer."),
    "bool_parsing": ("true or false", "Send true or false."),
    "int_type": ("an integer", "Send an integer, not a boolean or string."),
    "float_type": ("a number", "Send a number, not a boolean or string."),
    "bool_type": ("true or false", "Send true or false."),
    "string_type": ("text", "Send text, in quotes."),
    "list_type": ("a list", "Send a list, in brackets."),
    "dict_type": ("an object", "Send an object, in braces."),
    "model_type": ("an object", "Send an object, in braces."),
    "model_attributes_type": ("an object", "Send an object, in braces."),
    "finite_number": ("a finite number", "Send a finite number."),
}

log = structlog.get_logger("lehr.http")


def install(app: FastAPI) -> None:
    """Make the app answer every error with a problem document."""
    app.add_exception_handler(LehrError, _answer_lehr_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(DBAPIError, _answer_database_error)
    app.add_exception_handler(PoolTimeoutError, _answer_database_error)
    app.add_exception_handler(Exception, _answer_unexpected)


def problem(status: int, kind: str, detail: str, faults: Sequence[Fault] = (), **headers: str) -> JSONResponse:
    """A problem document as a response. It lists at most MAX_FAULTS faults; `detail` says how many more there are."""
    document: dict[str, Any] = {
        "type": f"urn:lehr:problem:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _printable(detail, MAX_TEXT_CHARACTERS),
    }
    errors = [_fault_document(fault) for fault in faults[:MAX_FAULTS]]
    if errors:
        document["errors"] = errors
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse(document, status_code=status, headers=named, media_type=MEDIA_TYPE)


def _fault_document(fault: Fault) -> dict[str, Any]:
    return {
        "field": _printable(fault.field),
        "message": _printable(fault.message),
        "bound": _printable(fault.bound),
        "value": _shown(fault.value),
        "remedy": fault.remedy,
    }


def _shown(value: Any) -> Any:
    """The offending value, shortened and without what JSON cannot represent."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and abs(value) < 2**53:
        return value
    return _printable(value if isinstance(value, str) else _SHORT.repr(value), MAX_VALUE_CHARACTERS)


_SHORT = Repr()
_SHORT.maxdict = _SHORT.maxlist = 10
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = MAX_VALUE_CHARACTERS


def _printable(text: str, most: int = MAX_TEXT_CHARACTERS) -> str:
    short = text if len(text) <= most else text[: most - 1] + "…"
    return short.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\x00")


def _answer_lehr_error(_request: Request, error: Exception) -> JSONResponse:
    status, kind = next((entry for base, entry in STATUS.items() if isinstance(error, base)), (500, "internal"))
    faults = error.faults if isinstance(error, InvalidValueError) else ()
    return problem(status, kind, _summary(faults) if faults else str(error), faults)


def _answer_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    body = getattr(request.scope.get("route"), "body_field", None)
    model = body.field_info.annotation if body is not None else None
    faults = [fault for described in error.errors()[:MAX_FAULTS] for fault in _faults(described, model)]
    return problem(422, "invalid-request", _summary(faults, len(error.errors())), faults)


def _summary(faults: Sequence[Fault], count: int = 0) -> str:
    """The first faults in one line. `count`: the total number of faults, if `faults` does not hold all."""
    text = "; ".join(_printable(f"{fault.field}: {fault.message}", SUMMARY_CHARACTERS) for fault in faults[:SUMMARISED])
    more = max(count, len(faults)) - SUMMARISED
    return text if more <= 0 else f"{text}; and {more} more"


def _faults(described: dict[str, Any], model: Any) -> list[Fault]:
    field = _field(described["loc"])
    cause = (described.get("ctx") or {}).get("error")
    if isinstance(cause, InvalidValueError):
        return [_under(fault, field) for fault in cause.faults]
    bound, remedy = BOUNDS.get(described["type"], (described["msg"], "Send a value of the right type."))
    context = dict((described.get("ctx") or {}).items())
    # For a missing field, pydantic gives the whole enclosing object as the input.
    value = None if described["type"] == "missing" else described.get("input")
    if described["type"] == "extra_forbidden" and (known := _fields_around(model, described["loc"])):
        bound, remedy = "one of " + ", ".join(known), suggest(described["loc"][-1], known, "a field") + " Or remove it."
    if described["type"] == "literal_error":
        remedy = suggest(value, re.findall(r"'([^']*)'", str(context.get("expected"))), "a value")
    return [Fault(field, described["msg"], bound.format_map(_Context(context)), value, remedy)]


def _fields_around(model: Any, location: tuple[int | str, ...]) -> list[str]:
    """The fields of the object that has an unknown field; empty if the location does not lead to a model."""
    for part in location[1:-1]:
        if isinstance(part, str):
            model = _model_of(getattr(model, "model_fields", {}).get(part))
    return list(getattr(model, "model_fields", {}))


def _model_of(field: Any) -> Any:
    kinds = [getattr(field, "annotation", None)]
    while kinds:
        kind = kinds.pop()
        if hasattr(kind, "model_fields"):
            return kind
        kinds += get_args(kind)
    return None


class _Context(dict[str, Any]):
    """Values for a bound's placeholders. Leaves a placeholder without a value readable."""

    def __missing__(self, key: str) -> str:
        return f"({key})"


def _under(fault: Fault, field: str) -> Fault:
    if fault.field.startswith("["):
        return Fault(field + fault.field, fault.message, fault.bound, fault.value, fault.remedy)
    return fault.under(field) if field else fault


def _field(location: tuple[int | str, ...]) -> str:
    """`("body", "budget", "trials")` as `budget.trials`, with list positions in brackets."""
    parts = location[1:] if location and location[0] in ("body", "query", "path", "header") else location
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else str(part))
    return text


def _answer_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    faults = error.faults if isinstance(error, MalformedBodyError) else []
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_methods(request)))
    kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return problem(error.status_code, kind, str(error.detail), faults, **headers)


def _methods(request: Request) -> set[str]:
    """The methods of all calls on the request's path. Starlette gives only those of the first matching route."""
    routes: Sequence[APIRoute] = request.app.state.routes
    return {method for route in routes if route.path_regex.match(request.url.path) for method in route.methods or ()}


def _answer_database_error(request: Request, error: Exception) -> JSONResponse:
    kind, cause = outage(error), str(getattr(error, "orig", None) or error)
    if kind == "full":
        log.error("database_disk_full", error=cause)
        return problem(507, "storage-full", DISK_IS_FULL, Retry_After="30")
    if kind == "away":
        log.error("database_unavailable", error=cause)
        # It is unknown whether an unanswered commit succeeded, but every call is safe to repeat.
        return problem(503, "database-unavailable", "the database does not answer; repeat the call", Retry_After="2")
    return _answer_unexpected(request, error)


def _answer_unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("unexpected_error", path=request.url.path, method=request.method, exc_info=error)
    return problem(500, "internal", "unexpected error; it is in the server's log, and nothing was recorded")

"""Maps problem documents of the server to exceptions.

Each class is both a ServerError (with `.status` and `.problem`) and the matching error of lehr, so that
`except NotFoundError` catches it wherever it comes from.
"""

from __future__ import annotations

import json
from typing import Any

from lehr.errors import (
    ConflictError,
    Fault,
    IdempotencyError,
    InvalidValueError,
    LostLeaseError,
    NotFoundError,
    ServerError,
)


class ServerNotFoundError(ServerError, NotFoundError):
    """404: the requested object does not exist on the server."""


class ServerConflictError(ServerError, ConflictError):
    """409: the current state does not allow this operation."""


class ServerLostLeaseError(ServerError, LostLeaseError):
    """409 on a lease: the lease no longer holds any of the named trials; nothing was recorded."""


class ServerIdempotencyError(ServerError, IdempotencyError):
    """The idempotency key was already used with a different request."""


class RefusedByServerError(ServerError, InvalidValueError):
    """400 or 422: the server rejected values; `faults` lists them with their bounds."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        faults = problem.get("errors")
        listed = faults if isinstance(faults, list) else []
        # ServerError passes its text to the next class in the MRO, which expects faults, not text.
        super().__init__(status, problem)
        self.args = ServerError(status, problem).args
        self.faults = tuple(_fault(fault) for fault in listed if isinstance(fault, dict))


def error_from(status: int, content: bytes, reason: str, *, on_lease: bool) -> ServerError:
    """The exception for an error response. If it has no problem document, one is made from the status line."""
    problem = _problem(status, content, reason)
    if status in (400, 422) and "idempotency" not in str(problem.get("type", "")):
        return RefusedByServerError(status, problem)
    if "idempotency" in str(problem.get("type", "")):
        return ServerIdempotencyError(status, problem)
    if status == 404:
        return ServerNotFoundError(status, problem)
    if status == 409:
        return ServerLostLeaseError(status, problem) if on_lease else ServerConflictError(status, problem)
    return ServerError(status, problem)


def _problem(status: int, content: bytes, reason: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    if isinstance(document, dict) and "title" in document:
        return document
    text = content.decode("utf-8", "replace").strip()
    return {"type": "about:blank", "title": reason or "error", "status": status, "detail": text[:500]}


def _fault(document: dict[str, Any]) -> Fault:
    def text(name: str) -> str:
        return str(document.get(name, ""))

    return Fault(text("field"), text("message"), text("bound"), document.get("value"), text("remedy"))

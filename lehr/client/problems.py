"""From a problem document to the error that fits: both what happened and that a server said so.

Each class is a ServerError (so `.status` and `.problem` are there) and the domain's own error
(so `except NotFoundError` catches it wherever it came from).
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
    """404: the server has no such thing."""


class ServerConflictError(ServerError, ConflictError):
    """409: the thing is not in a state that allows this."""


class ServerLostLeaseError(ServerError, LostLeaseError):
    """409 on a lease: this attempt owns none of the named trials any more; nothing was recorded."""


class ServerIdempotencyError(ServerError, IdempotencyError):
    """The idempotency key was used before with another request."""


class RefusedByServerError(ServerError, InvalidValueError):
    """400 or 422: the server refused values; `faults` says which, and what is allowed."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        faults = problem.get("errors")
        found = tuple(_fault(fault) for fault in faults if isinstance(fault, dict)) if isinstance(faults, list) else ()
        # ServerError hands its text on to the next class in line, which takes faults, not text.
        super().__init__(status, problem)
        self.args = ServerError(status, problem).args
        self.faults = found


def error_from(status: int, content: bytes, reason: str, *, on_lease: bool) -> ServerError:
    """The error for an answer that is no success. Without a problem document, one is made from the status line."""
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

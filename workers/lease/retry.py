"""Retries calls until the server answers, and logs outages."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog

from lehr.client import retries
from lehr.errors import ServerError, UnreachableError

T = TypeVar("T")
log = structlog.get_logger(__name__)


def keep_trying(call: Callable[[], T], give_up: threading.Event, what: str) -> T:
    """`lehr.client.retries.keep_trying`, with log lines for failures of the call `what` and for the recovery."""
    failures: list[UnreachableError | ServerError] = []

    def report(error: UnreachableError | ServerError) -> None:
        failures.append(error)
        event = "server_failed" if isinstance(error, ServerError) else "server_unreachable"
        log.warning(event, call=what, error=str(error))

    result = retries.keep_trying(call, give_up, report)
    if failures:
        log.info("server_answers_again", call=what)
    return result


def is_lost(error: ServerError) -> bool:
    """Whether a refusal means that the lease itself is gone, for example because its study was deleted."""
    return error.status in (404, 410)

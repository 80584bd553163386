"""Calls that are repeated, with jitter, until the server answers them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)

from lehr.errors import ServerError, UnreachableError

LONGEST_PAUSE_SECONDS = 3.0
FIRST_PAUSE_SECONDS = 0.2
# 421: the server's LEHR_ALLOWED_HOSTS lacks its own name, which its operator can mend meanwhile.
_TRANSIENT_STATUSES = frozenset({408, 421, 425, 429})

T = TypeVar("T")
log = structlog.get_logger(__name__)


def keep_trying(call: Callable[[], T], give_up: threading.Event, what: str) -> T:
    """The call's result, repeated until the server answers or `give_up` is set.

    Pauses are drawn uniformly below an exponentially growing bound ("full jitter"), so that a
    fleet does not return to a restarted server all at once. Logs the first failure and the
    recovery, not each try. Raises what the call raised last when given up, and at once what
    no repetition can mend.
    """
    retrying = Retrying(
        retry=retry_if_exception(_is_transient),
        wait=wait_random_exponential(multiplier=FIRST_PAUSE_SECONDS, max=LONGEST_PAUSE_SECONDS),
        stop=stop_when_event_set(give_up),
        sleep=sleep_using_event(give_up),
        before_sleep=lambda state: _log_first_failure(state, what),
        reraise=True,
    )
    result = retrying(call)
    if retrying.statistics["attempt_number"] > 1:
        log.info("server_answers_again", call=what, attempts=retrying.statistics["attempt_number"])
    return result


def is_lost(error: ServerError) -> bool:
    """Whether a refusal means that the lease itself is gone (its study was deleted, say)."""
    return error.status in (404, 410)


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, ServerError):
        return error.status >= 500 or error.status in _TRANSIENT_STATUSES
    return isinstance(error, UnreachableError)


def _log_first_failure(state: RetryCallState, what: str) -> None:
    if state.attempt_number == 1 and state.outcome is not None:
        error = state.outcome.exception()
        event = "server_failed" if isinstance(error, ServerError) else "server_unreachable"
        log.warning(event, call=what, error=str(error))

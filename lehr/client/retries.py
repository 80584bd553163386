"""Retry policies: which calls are retried, when, and for how long."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from lehr.client.call import Call
from lehr.errors import ServerError, UnreachableError

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
TRANSIENT_STATUSES = frozenset({502, 503, 504})
TOO_MANY_REQUESTS = 429
PASSING_STATUSES = frozenset({408, 421, 425, TOO_MANY_REQUESTS})
"""Temporary errors: timeouts, early data (RFC 8470) and rate limits. 421: the server's LEHR_ALLOWED_HOSTS lacks its own
name, which the operator may add in the meantime."""
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

T = TypeVar("T")
log = logging.getLogger("lehr.client")


class TransientAnswer(Exception):
    """A response after which a retry may succeed: 429, 502, 503 or 504."""

    def __init__(self, error: ServerError, retry_after_seconds: float) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class Retry:
    """How calls are retried: at most `attempts` attempts, and none after `seconds`.

    The pause before attempt n is drawn uniformly from [0, min(longest_pause_seconds, first_pause_seconds * 2**(n-2))]
    (full jitter), but is at least the server's Retry-After, up to `longest_pause_seconds`.
    """

    attempts: int = 6
    seconds: float = 30.0
    first_pause_seconds: float = FIRST_PAUSE_SECONDS
    longest_pause_seconds: float = LONGEST_PAUSE_SECONDS


def policy(retry: Retry, call: Call[Any]) -> dict[str, Any]:
    """The options of tenacity for this call, shared by synchronous and asyncio retries."""
    backoff = wait_random_exponential(multiplier=retry.first_pause_seconds, max=retry.longest_pause_seconds)

    def pause(state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        asked = failure.retry_after_seconds if isinstance(failure, TransientAnswer) else 0.0
        return max(backoff(state), min(asked, retry.longest_pause_seconds))

    return {
        "retry": retry_if_exception(_may_be_repeated(call)),
        "stop": stop_after_attempt(retry.attempts) | stop_after_delay(retry.seconds),
        "wait": pause,
        "reraise": True,
    }


def _may_be_repeated(call: Call[Any]) -> Callable[[BaseException], bool]:
    """A call that is not repeatable is retried only if it certainly never arrived or was rejected by a rate limit."""

    def decide(error: BaseException) -> bool:
        if call.repeatable:
            return isinstance(error, (httpx.TransportError, TransientAnswer))
        if isinstance(error, TransientAnswer):
            return error.error.status == TOO_MANY_REQUESTS
        return isinstance(error, NEVER_SENT)

    return decide


def _warn(error: UnreachableError | ServerError) -> None:
    log.warning("%s Retrying until the server responds.", error)


def keep_trying(
    call: Callable[[], T],
    give_up: threading.Event,
    on_first_failure: Callable[[UnreachableError | ServerError], None] = _warn,
) -> T:
    """Retry the call until the server responds or `give_up` is set, and return its result.

    For calls that must not be lost, on top of the client's own retries. Pauses have full jitter, so that the workers of
    a cluster do not all reconnect to a restarted server at once. Raises permanent errors immediately, and the last
    error once `give_up` is set.
    """

    def report(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if state.attempt_number == 1 and isinstance(error, UnreachableError | ServerError):
            on_first_failure(error)

    return Retrying(
        retry=retry_if_exception(_may_pass),
        wait=wait_random_exponential(multiplier=FIRST_PAUSE_SECONDS, max=LONGEST_PAUSE_SECONDS),
        stop=stop_when_event_set(give_up),
        sleep=sleep_using_event(give_up),
        before_sleep=report,
        reraise=True,
    )(call)


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, ServerError):
        return error.status >= 500 or error.status in PASSING_STATUSES
    return isinstance(error, UnreachableError)

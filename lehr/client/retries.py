"""Which calls are sent again, when, and for how long."""

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
"""Refusals of the moment, not of the call: time-outs, early data (RFC 8470) and rate limits. 421: the server's
LEHR_ALLOWED_HOSTS lacks its own name, which its operator can add meanwhile."""
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

T = TypeVar("T")
log = logging.getLogger("lehr.client")


class TransientAnswer(Exception):
    """An answer that another try may better: 429, 502, 503 or 504."""

    def __init__(self, error: ServerError, retry_after_seconds: float) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a call is tried: `attempts` times at most, and no new try after `seconds`.

    The pause before try n is drawn uniformly from [0, min(longest_pause_seconds, first_pause_seconds * 2**(n-2))]
    (full jitter), or is what the server's Retry-After asks, up to `longest_pause_seconds`.
    """

    attempts: int = 6
    seconds: float = 30.0
    first_pause_seconds: float = FIRST_PAUSE_SECONDS
    longest_pause_seconds: float = LONGEST_PAUSE_SECONDS


def policy(retry: Retry, call: Call[Any]) -> dict[str, Any]:
    """What tenacity is to do for this call; blocking and awaiting retries share it."""
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
    """A call that is not repeatable is sent again only when it certainly never arrived or was turned away."""

    def decide(error: BaseException) -> bool:
        if call.repeatable:
            return isinstance(error, (httpx.TransportError, TransientAnswer))
        if isinstance(error, TransientAnswer):
            return error.error.status == TOO_MANY_REQUESTS
        return isinstance(error, NEVER_SENT)

    return decide


def _warn(error: UnreachableError | ServerError) -> None:
    log.warning("%s Trying again until it answers.", error)


def keep_trying(
    call: Callable[[], T],
    give_up: threading.Event,
    on_first_failure: Callable[[UnreachableError | ServerError], None] = _warn,
) -> T:
    """The call's result, repeated until the server answers or `give_up` is set.

    For calls that nothing may lose, on top of what a client itself repeats. Pauses have full jitter, so that a cluster
    does not return to a restarted server all at once. Raises what the call raised last once given up, and at once what
    no repetition can mend.
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

"""Which calls are sent again, when, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, stop_after_delay, wait_random_exponential

from lehr.client.call import Call
from lehr.errors import ServerError

TRANSIENT_STATUSES = frozenset({502, 503, 504})
TOO_MANY_REQUESTS = 429
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


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
    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 5.0


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

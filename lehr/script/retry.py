"""Calls that are repeated, with jitter, for as long as it takes."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import TypeVar

from lehr.errors import ServerError, UnreachableError

LONGEST_PAUSE_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.2
TRANSIENT_STATUSES = frozenset({408, 425, 429})

T = TypeVar("T")
log = logging.getLogger("lehr.script")


def keep_trying(call: Callable[[], T], give_up: threading.Event) -> T:
    """The call's result, once the server answers. Raises what the call raised last when `give_up` is set,
    and at once what no repetition can mend.

    Pauses are drawn uniformly below a bound that doubles, so that scripts do not return to a restarted server all at
    once.
    """
    bound = FIRST_PAUSE_SECONDS
    while True:
        try:
            return call()
        except (UnreachableError, ServerError) as error:
            if not is_transient(error):
                raise
            if bound == FIRST_PAUSE_SECONDS:
                log.warning("%s Trying again until it answers.", error)
            if give_up.wait(random.uniform(0, bound)):
                raise
        bound = min(LONGEST_PAUSE_SECONDS, 2 * bound)


def is_transient(error: UnreachableError | ServerError) -> bool:
    if isinstance(error, ServerError):
        return error.status >= 500 or error.status in TRANSIENT_STATUSES
    return True

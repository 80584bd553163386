"""Claims the next lease in a background thread while the current trials train."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from workers.lease.work import LeaseWork

PAUSE_SECONDS = 1.0
"""How long to wait after a claim that found no work."""


class LeasePrefetcher:
    """Holds at most one claimed lease; the next claim waits until it is taken."""

    def __init__(self, claim: Callable[[int], LeaseWork | None], clock: Callable[[], float] = time.monotonic) -> None:
        """`claim`: claims up to this many trials without waiting; returns None when there are none. Never raises."""
        self._claim = claim
        self._clock = clock
        self._thread: threading.Thread | None = None
        self._work: LeaseWork | None = None
        self._until_seconds = 0.0

    def want(self, places: int) -> None:
        """Start to claim up to `places` trials, unless a claim is in flight or held. Returns at once."""
        if self._thread is None and self._clock() >= self._until_seconds:
            self._thread = threading.Thread(target=self._run, args=(places,), name="prefetch", daemon=True)
            self._thread.start()

    def take(self, study: str | None = None) -> LeaseWork | None:
        """The claimed lease, if any. Without `study`, waits for a claim in flight.

        With `study`, returns at once, and only a lease of that study.
        """
        thread = self._thread
        if thread is None or (study is not None and thread.is_alive()):
            return None
        thread.join()
        work = self._work
        if work is not None and study is not None and work.study.study_id != study:
            return None
        self._thread, self._work = None, None
        return work

    def _run(self, places: int) -> None:
        self._work = self._claim(places)
        if self._work is None:
            self._until_seconds = self._clock() + PAUSE_SECONDS

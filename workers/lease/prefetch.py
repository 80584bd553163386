"""One lease at most is claimed ahead of time, by a thread of its own, while the trials of another one are trained."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from workers.lease.work import LeaseWork

PAUSE_SECONDS = 1.0
"""After a claim that brought nothing, none is made for so long."""


class LeasePrefetcher:
    """Holds what was claimed until somebody takes it; until then nothing more is claimed."""

    def __init__(self, claim: Callable[[int], LeaseWork | None], clock: Callable[[], float] = time.monotonic) -> None:
        """`claim`: for so many trials at most; None where there are none. It does not wait for any, nor raise."""
        self._claim = claim
        self._clock = clock
        self._thread: threading.Thread | None = None
        self._work: LeaseWork | None = None
        self._until_seconds = 0.0

    def want(self, places: int) -> None:
        """Claim so many trials at most, where nothing is claimed yet. Returns at once."""
        if self._thread is None and self._clock() >= self._until_seconds:
            self._thread = threading.Thread(target=self._run, args=(places,), name="prefetch", daemon=True)
            self._thread.start()

    def take(self, study: str | None = None) -> LeaseWork | None:
        """What was claimed. `study`: only where it is of that one, and is there already; else waits for the claim."""
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

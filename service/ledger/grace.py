"""Delays taking back expired leases after an outage, until their workers have had time to renew them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

SHORTEST_STEP, SHORTEST_OUTAGE = 1.0, 3.0
"""Seconds by which the two clocks may differ, and by which a check may be late, without any effect."""


@dataclass
class Grace:
    """A grace period of one lease's duration after a start, an outage, or a step of the database's clock.

    During it, an expired lease does not mean a lost worker: its heartbeats found no server, or the clock jumped past
    the lease's expiry. `clock`: a monotonic clock, in seconds.
    """

    lease_seconds: float
    clock: Callable[[], float] = time.monotonic
    _until: float = 0.0
    _last: tuple[float, datetime] | None = None

    def is_over(self, now: datetime) -> bool:
        """Whether expired leases may be taken back. `now`: the database's clock, read for each check."""
        here = self.clock()
        if self._last is None or self._is_interrupted(here - self._last[0], (now - self._last[1]).total_seconds()):
            self._until = here + self.lease_seconds
        self._last = here, now
        return here >= self._until

    def _is_interrupted(self, elapsed: float, elapsed_there: float) -> bool:
        was_away = elapsed > max(SHORTEST_OUTAGE, self.lease_seconds / 4)
        has_stepped = abs(elapsed_there - elapsed) > max(SHORTEST_STEP, self.lease_seconds / 8)
        return was_away or has_stepped

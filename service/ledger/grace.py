"""When expired leases may be taken: not before their workers could have renewed them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

SHORTEST_STEP, SHORTEST_OUTAGE = 1.0, 3.0
"""Seconds that a look may be late, and that the two clocks may part, without being taken for anything."""


@dataclass
class Grace:
    """Grants one lease's time after a start, an outage, or a step of the database's clock.

    Until then an expired lease does not mean a lost worker: its heartbeats found no server, or the clock has moved
    past the lease's end. `clock`: seconds that never step.
    """

    lease_seconds: float
    clock: Callable[[], float] = time.monotonic
    _until: float = 0.0
    _last: tuple[float, datetime] | None = None

    def is_over(self, now: datetime) -> bool:
        """Whether expired leases may be taken. `now`: of the database's clock, read at each look."""
        here = self.clock()
        if self._last is None or self._is_broken(here - self._last[0], (now - self._last[1]).total_seconds()):
            self._until = here + self.lease_seconds
        self._last = here, now
        return here >= self._until

    def _is_broken(self, elapsed: float, elapsed_there: float) -> bool:
        was_away = elapsed > max(SHORTEST_OUTAGE, self.lease_seconds / 4)
        has_stepped = abs(elapsed_there - elapsed) > max(SHORTEST_STEP, self.lease_seconds / 8)
        return was_away or has_stepped

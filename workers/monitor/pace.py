"""How fast a trial trains: over the last seconds, and told now and then to whoever reads the worker's log."""

from __future__ import annotations

from collections import deque
from typing import Any

TOLD_SECONDS = 15.0
"""Between two lines: often enough to see that it goes on, rare enough for a trial of a week."""
WINDOW_SECONDS = 15.0
"""The speed is that of so many seconds: it follows a change, and does not jump with every evaluation."""


class Pace:
    """One attempt's. Times are monotonic seconds."""

    def __init__(self, horizon_steps: int, now: float) -> None:
        self.horizon_steps = horizon_steps
        self.steps = 0
        self._told = now
        self._told_step: int | None = None
        self._seen: deque[tuple[float, int]] = deque()

    def see(self, step: int, now: float) -> None:
        """So many steps are done."""
        self.steps = step
        self._seen.append((now, step))
        while len(self._seen) > 2 and now - self._seen[1][0] >= WINDOW_SECONDS:
            self._seen.popleft()

    def speed(self, now: float) -> float | None:
        """Steps a second; 0 for one that stands still, None where too little was seen to tell."""
        if len(self._seen) < 2:
            # The first step heard of may be far on already, in a trial that was resumed: no speed by itself.
            return None
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        if now - ended > WINDOW_SECONDS:
            return 0.0
        return (last - first) / (ended - began) if ended > began else None

    def due(self, step: int, now: float) -> dict[str, Any] | None:
        """What to tell once `step` steps are done; None while it is not time yet."""
        if self._told_step is None:
            self._told, self._told_step = now, step
        if now - self._told < TOLD_SECONDS:
            return None
        rate = (step - self._told_step) / (now - self._told)
        self._told, self._told_step = now, step
        return {"step": step, "of": self.horizon_steps, "steps_per_second": round(rate, 2)}

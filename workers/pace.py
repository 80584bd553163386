"""How fast a trial trains, told now and then to whoever reads the worker's log."""

from __future__ import annotations

from typing import Any

TOLD_SECONDS = 15.0
"""Between two lines: often enough to see that it goes on, rare enough for a trial of a week."""


class Pace:
    """One attempt's. Times are monotonic seconds."""

    def __init__(self, horizon_steps: int, now: float) -> None:
        self._horizon_steps = horizon_steps
        self._told = now
        self._told_step: int | None = None

    def due(self, step: int, now: float) -> dict[str, Any] | None:
        """What to tell once `step` steps are done; None while it is not time yet."""
        if self._told_step is None:
            # The first one heard of may be far on already, in a trial that was resumed.
            self._told, self._told_step = now, step
        if now - self._told < TOLD_SECONDS:
            return None
        rate = (step - self._told_step) / (now - self._told)
        self._told, self._told_step = now, step
        return {"step": step, "of": self._horizon_steps, "steps_per_second": round(rate, 2)}

"""Measures how fast a trial trains, and decides when to log it."""

from __future__ import annotations

from collections import deque
from typing import Any

LOG_SECONDS = 15.0
"""Seconds between two log lines of a trial: short enough to show progress, long enough for a trial of a week."""
WINDOW_SECONDS = 15.0
"""The window of the speed: short enough to follow changes, long enough to average over evaluations."""


class Pace:
    """The pace of one attempt. Times are in monotonic seconds."""

    def __init__(self, horizon_steps: int, now: float) -> None:
        self.horizon_steps = horizon_steps
        self.steps = 0
        self._logged = now
        self._logged_step: int | None = None
        self._window: deque[tuple[float, int]] = deque()

    def record(self, step: int, now: float) -> None:
        """Record that `step` steps are done."""
        self.steps = step
        self._window.append((now, step))
        while len(self._window) > 2 and now - self._window[1][0] >= WINDOW_SECONDS:
            self._window.popleft()

    def speed(self, now: float) -> float | None:
        """Steps per second; 0 for a trial that makes no steps, None before there are two measurements."""
        if len(self._window) < 2:
            # One measurement says nothing about speed: a resumed trial starts with many steps done.
            return None
        (began, first), (ended, last) = self._window[0], self._window[-1]
        if now - ended > WINDOW_SECONDS:
            return 0.0
        return (last - first) / (ended - began) if ended > began else None

    def due(self, step: int, now: float) -> dict[str, Any] | None:
        """The keys of a log line after `step` steps, or None if it is too early for one."""
        if self._logged_step is None:
            self._logged, self._logged_step = now, step
        if now - self._logged < LOG_SECONDS:
            return None
        rate = (step - self._logged_step) / (now - self._logged)
        self._logged, self._logged_step = now, step
        return {"step": step, "of": self.horizon_steps, "steps_per_second": round(rate, 2)}

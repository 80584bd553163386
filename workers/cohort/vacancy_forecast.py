"""Forecasts how many places of a cohort will be free soon, so that trials for them can be claimed in time."""

from __future__ import annotations

from workers.cohort.cohort import Cohort

FORECAST_SECONDS = 0.1
"""Seconds between two forecasts."""


class VacancyForecast:
    """Forecasts free places from the measured speed of a cohort."""

    def __init__(self, cohort: Cohort, places: int) -> None:
        self._cohort = cohort
        self._places = places
        self._steps = 0
        self._last: tuple[float, int] | None = None

    def free_soon(self, now: float, ahead_seconds: float) -> int:
        """The number of places that will be free at the end of the epoch, if it ends within `ahead_seconds`; else 0.

        If several epochs end within that time, counts at the end of the last. Call after every step; returns 0 if the
        last forecast was less than FORECAST_SECONDS ago.
        """
        self._steps += 1
        if self._last is None:
            self._last = (now, self._steps)
        since, steps = now - self._last[0], self._steps - self._last[1]
        if since < FORECAST_SECONDS:
            return 0
        self._last = (now, self._steps)
        soon, left = round(steps / since * ahead_seconds), self._cohort.steps_left
        if left > soon:
            return 0
        members = self._cohort.members
        return self._places - sum(member.horizon_steps - member.step > max(soon, left) for member in members)

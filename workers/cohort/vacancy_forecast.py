"""How many places of a cohort will be free soon, so that trials for them can be at hand by then."""

from __future__ import annotations

from workers.cohort.cohort import Cohort

LOOK_SECONDS = 0.1
"""Between two looks."""


class VacancyForecast:
    """Measures a cohort's pace as it trains."""

    def __init__(self, cohort: Cohort, places: int) -> None:
        self._cohort = cohort
        self._places = places
        self._steps = 0
        self._looked: tuple[float, int] | None = None

    def free_soon(self, now: float, ahead_seconds: float) -> int:
        """To be called after every step. How many places are free, or will be, when the epoch ends, if that is within
        `ahead_seconds`; of several epochs that are so short, at the last one's end. 0 between two looks.
        """
        self._steps += 1
        if self._looked is None:
            self._looked = (now, self._steps)
        since, steps = now - self._looked[0], self._steps - self._looked[1]
        if since < LOOK_SECONDS:
            return 0
        self._looked = (now, self._steps)
        soon, left = round(steps / since * ahead_seconds), self._cohort.steps_left
        if left > soon:
            return 0
        members = self._cohort.members
        return self._places - sum(member.horizon_steps - member.step > max(soon, left) for member in members)

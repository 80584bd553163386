"""Judges the running trials of one search by their curves."""

from __future__ import annotations

from lehr.schedules import Schedule
from lehr.wire.studies import Direction
from service.search.observations import PENDING, Observation
from service.search.pruners.base import Curve, CurvePruner, Reports

MAX_FINISHED = 200
"""Number of finished trials that are kept for each family, newest first."""


class CurveJudge:
    """Keeps the curves of a search's running trials and of each family's newest finished trials."""

    def __init__(self, pruner: CurvePruner, direction: Direction) -> None:
        self._pruner = pruner
        self._direction = direction
        self._running: dict[int, Curve] = {}
        self._finished: dict[str, dict[int, Curve]] = {}

    def tell(self, observation: Observation, schedule: Schedule | None) -> None:
        """Record a trial's reports. Trials without a known schedule are not used for comparison."""
        known = self._running.pop(observation.number, None)
        schedule = schedule or (known.schedule if known else None)
        if schedule is None or observation.state in ("FAILED", "CANCELLED"):
            return
        reports = observation.reports or (known.reports if known else ())
        curve = Curve(observation.number, schedule, observation.state, reports)
        if observation.state in PENDING:
            self._running[curve.number] = curve
            return
        finished = self._finished.setdefault(schedule.family, {})
        finished[curve.number] = curve
        if len(finished) > MAX_FINISHED:
            del finished[min(finished)]

    def should_prune(
        self, number: int, schedule: Schedule, horizon_steps: int, reports: Reports, *, guessed: bool = False
    ) -> bool:
        """Whether a running trial should stop at its last report. Keeps its reports for comparison."""
        trial = Curve(number, schedule, "RUNNING", reports)
        self._running[number] = trial
        finished = (curve for curves in self._finished.values() for curve in curves.values())
        return self._pruner.should_prune(
            trial,
            [*finished, *self._running.values()],
            horizon_steps=horizon_steps,
            direction=self._direction,
            guessed=guessed,
        )

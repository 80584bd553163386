"""The queue of leased trials that wait for a place in a cohort."""

from __future__ import annotations

from collections.abc import Sequence

from lehr.wire.leases import LeasedTrial
from workers.trainer import TrialChannel


class Queue:
    """Waiting trials of one study. A cohort has one data set, so it takes only trials with the same fold."""

    def __init__(self, trials: Sequence[LeasedTrial], channel: TrialChannel) -> None:
        """`trials`: at least one; the cohort trains the fold of the first."""
        self._channel = channel
        self._fold = trials[0].fold
        self._waiting = list(trials)

    def first(self, places: int) -> list[LeasedTrial]:
        """Remove and return up to `places` trials that can train together, in order of arrival."""
        return self._taken([trial for trial in self._waiting if self._suits(trial)][:places])

    def take(self, places: int) -> list[LeasedTrial]:
        """The same, but only first attempts: later ones may have to resume in the middle of an epoch."""
        self._waiting += self._channel.arrivals()
        fresh = [trial for trial in self._waiting if self._suits(trial) and trial.attempt == 1]
        return self._taken(fresh[:places])

    def want(self, places: int) -> None:
        """Ask for more trials if fewer than `places` wait."""
        self._waiting += self._channel.arrivals()
        missing = places - len(self._waiting)
        if missing > 0:
            self._channel.want(missing)

    def left(self) -> list[LeasedTrial]:
        """All trials that still wait, new arrivals included."""
        self._waiting += self._channel.arrivals()
        return self._waiting

    def _suits(self, trial: LeasedTrial) -> bool:
        return trial.fold == self._fold and not trial.report_every_steps

    def _taken(self, trials: list[LeasedTrial]) -> list[LeasedTrial]:
        names = {trial.trial for trial in trials}
        self._waiting = [trial for trial in self._waiting if trial.trial not in names]
        return trials

"""Leased trials that wait for a place in a cohort."""

from __future__ import annotations

from collections.abc import Sequence

from lehr.wire.leases import LeasedTrial
from workers.trainer import TrialChannel


class Queue:
    """Of one study. A cohort has one data set, so only trials that hold out the same fold go into it."""

    def __init__(self, trials: Sequence[LeasedTrial], channel: TrialChannel) -> None:
        """At least one trial: the first one's fold is the cohort's."""
        self._channel = channel
        self._fold = trials[0].fold
        self._waiting = list(trials)

    def first(self, places: int) -> list[LeasedTrial]:
        """Take so many, at most, off it that can be trained together, in the order in which they came."""
        return self._taken([trial for trial in self._waiting if self._suits(trial)][:places])

    def take(self, places: int) -> list[LeasedTrial]:
        """The same of those that can begin with an epoch: another attempt's may go on within one."""
        self._waiting += self._channel.arrivals()
        fresh = [trial for trial in self._waiting if self._suits(trial) and trial.attempt == 1]
        return self._taken(fresh[:places])

    def want(self, places: int) -> None:
        """Have trials brought for so many places, where too few wait."""
        self._waiting += self._channel.arrivals()
        missing = places - len(self._waiting)
        if missing > 0:
            self._channel.want(missing)

    def left(self) -> list[LeasedTrial]:
        """Those that still wait, and those that came since."""
        self._waiting += self._channel.arrivals()
        return self._waiting

    def _suits(self, trial: LeasedTrial) -> bool:
        return trial.fold == self._fold and not trial.report_every_steps

    def _taken(self, trials: list[LeasedTrial]) -> list[LeasedTrial]:
        names = {trial.trial for trial in trials}
        self._waiting = [trial for trial in self._waiting if trial.trial not in names]
        return trials

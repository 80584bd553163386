"""Tracks a trial in the training process, and decides its outcome if the process does not end it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lehr.wire.leases import Directive, LeasedTrial
from workers.trainer import Dropped, Finished, Outcome


@dataclass(slots=True)
class TrackedTrial:
    """What the worker knows about a trial in the training process.

    `steps`: steps done. `reports`: number of reports so far. `value`: the objective's last reported value.
    `ending_seconds`: when the process was first told to end the trial, in monotonic seconds. `verdict`: an outcome that
    overrides the process's own. `suspect`: the trial may have ended the process, so it trains alone next time.
    """

    trial: LeasedTrial
    started: bool = False
    opened: bool = False
    ended: bool = False
    suspect: bool = False
    steps: int = 0
    reports: int = 0
    value: float | None = None
    directive: Directive = "continue"
    ending_seconds: float = math.inf
    verdict: Outcome | None = None

    @property
    def is_running(self) -> bool:
        return self.started and not self.ended

    def direct(self, directive: Directive, now: float) -> None:
        if directive != self.directive:
            self.directive = directive
            self.ending_seconds = min(self.ending_seconds, now)

    def forced_outcome(self) -> Outcome:
        """The outcome when the process does not end the trial in time."""
        if self.verdict is not None:
            return self.verdict
        return Finished("PRUNED", self.value) if self.directive == "prune" else Dropped(self.directive)

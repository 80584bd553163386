"""A trial's way through the training process."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lehr.wire.leases import Directive, LeasedTrial
from workers.trainer import Dropped, Finished, Outcome


@dataclass(slots=True)
class Course:
    """What the worker knows of a trial that the process was given.

    `steps`: done. `sent`: reports so far. `value`: of the objective, last reported. `told_seconds`: since when, in
    monotonic seconds, the process is told to end it. `verdict`: how it ends whatever the process says. `suspect`: it
    may be why the process is no more, so it is trained alone next time.
    """

    trial: LeasedTrial
    started: bool = False
    opened: bool = False
    ended: bool = False
    suspect: bool = False
    steps: int = 0
    sent: int = 0
    value: float | None = None
    directive: Directive = "continue"
    told_seconds: float = math.inf
    verdict: Outcome | None = None

    @property
    def is_running(self) -> bool:
        return self.started and not self.ended

    def tell(self, directive: Directive, now: float) -> None:
        if directive != self.directive:
            self.directive = directive
            self.told_seconds = min(self.told_seconds, now)

    def outcome_as_told(self) -> Outcome:
        """How it ends when the process does not end it in time."""
        if self.verdict is not None:
            return self.verdict
        return Finished("PRUNED", self.value) if self.directive == "prune" else Dropped(self.directive)

"""The interface between a trainer and the lease client: events of a trial, directives, and how a training can end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lehr.tracebacks import without_passwords
from lehr.wire.data import DataSummary
from lehr.wire.leases import MAX_ERROR_CHARACTERS, Directive, FinishState, LeasedStudy, LeasedTrial, Report
from lehr.wire.trials import Execution

ALONE = Execution(mode="solo", together=1, reason="trials are trained one after the other")
"""How trials are trained where nothing is chosen."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The trial has a result."""

    state: FinishState
    value: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """The trial is no longer this worker's: cancelled, done elsewhere or lost."""

    directive: Directive


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The worker drains; the trial is saved and to be given back."""


Outcome = Finished | Dropped | Interrupted


def storable_error(text: str) -> str:
    """The text's end, where a traceback names the exception, without passwords and what the wire refuses."""
    text = without_passwords(text).replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode()
    if len(text) <= MAX_ERROR_CHARACTERS:
        return text
    mark = "[the beginning is cut]\n"
    return mark + text[len(mark) - MAX_ERROR_CHARACTERS :]


class TrialChannel(Protocol):
    """Where a trainer hands in what becomes of the trials it was given. Cheap enough to be asked at every step.

    The order for each trial: `start`, `open`, any number of `step`, `put`, `announce` and `explain`, `end`.
    """

    @property
    def draining(self) -> bool:
        """The worker ends: save what runs and end it as Interrupted, start nothing more."""

    def start(self, trial: LeasedTrial, execution: Execution) -> None:
        """Its training begins, in this way: from now on it is this trial's fault if the process dies."""

    def explain(self, trial: LeasedTrial, execution: Execution) -> None:
        """It is trained in this way, other than `start` said."""

    def open(self, trial: LeasedTrial, horizon_steps: int, data: DataSummary | None = None) -> None:
        """Data and model are there; so many steps are to be done. `data`: what was made of the data."""

    def step(self, trial: str, step: int) -> None:
        """So many steps are done: what tells a slow trial from one that hangs."""

    def put(self, trial: str, reports: Sequence[Report]) -> None:
        """Send these after those put before."""

    def put_all(self, reports: Mapping[str, Sequence[Report]]) -> None:
        """The same for several trials at once, by name."""

    def pending(self, trial: str) -> list[Report]:
        """The trial's reports that the server has not acknowledged, oldest first."""

    def announce(self, trial: str, checkpoint: str) -> None:
        """Tell the server where the trial was saved."""

    def directive(self, trial: str) -> Directive:
        """What the server said last of the trial. Raises ServerError when it refuses what is said of it."""

    def end(self, trial: LeasedTrial, outcome: Outcome) -> None:
        """The trial's training is over; nothing more is heard of it."""

    def end_all(self, outcomes: Sequence[tuple[LeasedTrial, Outcome]]) -> None:
        """The same for trials that end at once: their results go out in one call."""

    def want(self, places: int) -> None:
        """There is room for so many trials of this study, or will be soon."""

    def arrivals(self) -> Sequence[LeasedTrial]:
        """Trials of this study that came for such room, to be trained like the others. Each is told once."""


class Trainer(Protocol):
    """Trains the trials of one lease, one after the other or together. Never raises."""

    @property
    def wanted(self) -> int:
        """How many trials the next lease should have: as many as it would train together, of the study it saw last."""

    def train(self, study: LeasedStudy, trials: Sequence[LeasedTrial], channel: TrialChannel) -> None:
        """Returns when every trial that was started has ended. After one that FAILED, and where the worker drains,
        some may not have been started.
        """

    def discard(self, trial: LeasedTrial) -> None:
        """Forget the trial's checkpoints: it has a result."""

"""The interface between a trainer and the lease client: a trial's events, its directives and its outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lehr.tracebacks import without_passwords
from lehr.wire.data import DataSummary
from lehr.wire.leases import MAX_ERROR_CHARACTERS, Directive, FinishState, LeasedStudy, LeasedTrial, Report
from lehr.wire.trials import Execution

ALONE = Execution(mode="solo", together=1, reason="trials train one after the other")
"""The execution of trials for which no other was chosen."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The trial ended with a result."""

    state: FinishState
    value: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """This worker no longer holds the trial: it was cancelled, finished elsewhere or lost."""

    directive: Directive


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The worker drains: the trial is saved, and is to be released."""


Outcome = Finished | Dropped | Interrupted


def storable_error(text: str) -> str:
    """The text without passwords and with unstorable characters escaped, cut to its end, which names the error."""
    text = without_passwords(text).replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode()
    if len(text) <= MAX_ERROR_CHARACTERS:
        return text
    mark = "[beginning cut off]\n"
    return mark + text[len(mark) - MAX_ERROR_CHARACTERS :]


class TrialChannel(Protocol):
    """How a trainer reports on its trials and reads their directives. All calls are cheap enough for every step.

    The order of calls for a trial: `start`, `open`, any number of `step`, `put`, `announce` and `explain`, `end`.
    """

    @property
    def draining(self) -> bool:
        """The worker shuts down: save running trials and end them as Interrupted; start no others."""

    def start(self, trial: LeasedTrial, execution: Execution) -> None:
        """The trial's training begins. If the process dies after this call, the trial may be the cause."""

    def explain(self, trial: LeasedTrial, execution: Execution) -> None:
        """Replace the execution that `start` gave."""

    def open(self, trial: LeasedTrial, horizon_steps: int, data: DataSummary | None = None) -> None:
        """The trial's data and model are loaded. `data`: a summary of the data as the task read it."""

    def step(self, trial: str, step: int) -> None:
        """`step` steps are done. This distinguishes a slow trial from one that hangs."""

    def put(self, trial: str, reports: Sequence[Report]) -> None:
        """Send these reports, after all earlier ones."""

    def put_all(self, reports: Mapping[str, Sequence[Report]]) -> None:
        """Send reports of several trials, by name."""

    def pending(self, trial: str) -> list[Report]:
        """The trial's reports that the server has not acknowledged, oldest first."""

    def announce(self, trial: str, checkpoint: str) -> None:
        """Send the location of the trial's checkpoint to the server."""

    def directive(self, trial: str) -> Directive:
        """The server's latest directive for the trial. Raises ServerError when the server refused a call about it."""

    def end(self, trial: LeasedTrial, outcome: Outcome) -> None:
        """The trial's training is over; no other call follows for it."""

    def end_all(self, outcomes: Sequence[tuple[LeasedTrial, Outcome]]) -> None:
        """End several trials; their results are sent in one call."""

    def want(self, places: int) -> None:
        """Ask for up to `places` more trials of this study, for places that are free or will be soon."""

    def arrivals(self) -> Sequence[LeasedTrial]:
        """New trials of this study, claimed because of `want`. Each trial is returned once."""


class Trainer(Protocol):
    """Trains the trials of one lease, one by one or together. Never raises."""

    @property
    def wanted(self) -> int:
        """How many trials the next lease should have: as many as it trains together, for the study it trained last."""

    def train(self, study: LeasedStudy, trials: Sequence[LeasedTrial], channel: TrialChannel) -> None:
        """Return when every started trial has ended.

        Some trials may not have been started: after one that FAILED, and when the worker drains.
        """

    def discard(self, trial: LeasedTrial) -> None:
        """Delete the checkpoints of a trial that has a result."""

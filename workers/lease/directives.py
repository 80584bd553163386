"""What the server said last of each trial of a lease."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from lehr.wire.leases import Directive, LeasedTrial, TrialAttempt

_WEIGHT: Mapping[Directive, int] = {"continue": 0, "prune": 1, "cancel": 2, "done": 3, "lost": 4}


class Directives:
    """Directives by trial: posted by the beat and sender threads, read by the trainer at each step.

    A heavier directive stands: a `prune` that came with a report is not undone by the
    `continue` of a beat that was under way.
    """

    def __init__(self, trials: Iterable[LeasedTrial]) -> None:
        self._lock = threading.Lock()
        self._held = {t.trial: TrialAttempt(trial=t.trial, attempt=t.attempt) for t in trials}
        self._directives: dict[str, Directive] = dict.fromkeys(self._held, "continue")
        self._failures: dict[str, Exception] = {}

    def post(self, directives: Mapping[str, Directive]) -> None:
        with self._lock:
            for trial, directive in directives.items():
                if _WEIGHT[directive] > _WEIGHT[self._directives.get(trial, "lost")]:
                    self._directives[trial] = directive

    def lose(self, trials: Iterable[str]) -> None:
        """The lease no longer holds these trials."""
        self.post(dict.fromkeys(trials, "lost"))

    def fail(self, trials: Iterable[str], error: Exception) -> None:
        """The server refuses what this worker says of these trials."""
        with self._lock:
            for trial in trials:
                self._failures.setdefault(trial, error)

    def directive(self, trial: str) -> Directive:
        """The trial's directive. Raises what was given to `fail`."""
        if self._failures and trial in self._failures:
            raise self._failures[trial]
        return self._directives[trial]

    def settle(self, trial: str) -> None:
        """Nothing more is owed for this trial: it was finished, or dropped."""
        with self._lock:
            self._held.pop(trial, None)

    def held(self) -> list[TrialAttempt]:
        """The trials this lease still owes a result for, in the order of the lease."""
        with self._lock:
            return [held for trial, held in self._held.items() if self._directives[trial] not in ("done", "lost")]

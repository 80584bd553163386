"""Keeps the latest directive of the server for each trial of a lease."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from lehr.wire.leases import Directive, LeasedTrial, TrialAttempt

_WEIGHT: Mapping[Directive, int] = {"continue": 0, "prune": 1, "cancel": 2, "done": 3, "lost": 4}


class Directives:
    """Directives by trial: posted by the heartbeat and outbox threads, read by the trainer at each step.

    A stronger directive is never replaced by a weaker one: the `continue` of a heartbeat that was in flight does not
    undo a `prune` that came with a report.
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
        """Mark trials that the lease no longer holds."""
        self.post(dict.fromkeys(trials, "lost"))

    def fail(self, trials: Iterable[str], error: Exception) -> None:
        """Record that the server refused a call about these trials; `directive` raises the error."""
        with self._lock:
            for trial in trials:
                self._failures.setdefault(trial, error)

    def directive(self, trial: str) -> Directive:
        """The trial's latest directive. Raises the error that was passed to `fail`."""
        if self._failures and trial in self._failures:
            raise self._failures[trial]
        return self._directives[trial]

    def settle(self, trial: str) -> None:
        """Mark a trial as finished or dropped: the lease owes no result for it."""
        with self._lock:
            self._held.pop(trial, None)

    def held(self) -> list[TrialAttempt]:
        """The trials for which the lease still owes a result, in the order of the lease."""
        with self._lock:
            return [held for trial, held in self._held.items() if self._directives[trial] not in ("done", "lost")]

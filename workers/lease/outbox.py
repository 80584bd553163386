"""Sends reports to the server: buffers them, sends them in order, and keeps them until they are acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import structlog

from lehr.errors import LostLeaseError, ServerError, UnreachableError
from lehr.wire.data import DataSummary
from lehr.wire.leases import Report, ReportBatch, TrialAttempt, TrialReports
from workers.lease.directives import Directives
from workers.lease.protocol import LeaseServer
from workers.lease.retry import is_lost, keep_trying

MAX_REPORTS_PER_CALL = 1000
LINGER_SECONDS = 0.1
"""How long reports are buffered before a call. A user does not notice this delay, but a worker that trains tiny models
finishes many epochs in it, and would otherwise spend its time on calls."""
LONGEST_LINGER_SECONDS = 0.5
CALLS_SHARE = 0.05
"""The share of time that calls may take. When calls are slow, as they are for a cohort of dozens, reports are buffered
for longer, but never beyond LONGEST_LINGER_SECONDS, because the server prunes that much later."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _PendingReports:
    """One trial's unacknowledged reports. `announced`: the checkpoint that the server has acknowledged."""

    attempt: TrialAttempt
    horizon_steps: int
    reports: list[Report] = field(default_factory=list)
    checkpoint: str | None = None
    announced: str | None = None
    data: DataSummary | None = None
    is_ending: bool = False

    @property
    def has_unsent(self) -> bool:
        """Whether there is something to send. The data summary goes with the first report, or at the trial's end."""
        is_summary_due = self.is_ending and self.data is not None
        return bool(self.reports) or self.checkpoint != self.announced or is_summary_due

    def batch(self) -> TrialReports:
        return TrialReports(
            trial=self.attempt.trial,
            attempt=self.attempt.attempt,
            horizon_steps=self.horizon_steps,
            reports=self.reports[:MAX_REPORTS_PER_CALL],
            checkpoint=self.checkpoint,
            data=self.data,
        )


class Outbox:
    """Sends the reports of one lease's trials from a background thread.

    A report leaves the outbox when the server has acknowledged it, or when this worker no longer holds its trial.
    Reports that arrive during a call share the next call.
    """

    def __init__(self, server: LeaseServer, lease_id: str, directives: Directives, overdue: threading.Event) -> None:
        """`overdue`: set when a draining worker must stop waiting."""
        self._server = server
        self._lease_id = lease_id
        self._directives = directives
        self._overdue = overdue
        self._closed = threading.Event()
        self._changed = threading.Condition()
        self._pending: dict[str, _PendingReports] = {}
        self._urgent = False
        self._sends_data = False
        self._linger_seconds = LINGER_SECONDS
        self._thread = threading.Thread(target=self._run, name=f"outbox-{lease_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closed.set()
        with self._changed:
            self._changed.notify_all()

    def open(self, attempt: TrialAttempt, horizon_steps: int, data: DataSummary | None = None) -> None:
        """Start sending for a trial."""
        with self._changed:
            # All trials of a lease have the same data, so only the first trial sends its summary.
            first_data = None if self._sends_data else data
            self._sends_data = self._sends_data or data is not None
            self._pending[attempt.trial] = _PendingReports(attempt, horizon_steps, data=first_data)

    def put_all(self, reports: Mapping[str, Sequence[Report]]) -> None:
        """Queue reports by trial, after those already queued. Reports of a dropped trial are ignored."""
        with self._changed:
            for trial, new in reports.items():
                if trial in self._pending:
                    self._pending[trial].reports.extend(new)
            self._changed.notify_all()

    def announce(self, trial: str, checkpoint: str) -> None:
        """Queue the location of the trial's checkpoint."""
        with self._changed:
            if trial in self._pending:
                self._pending[trial].checkpoint = checkpoint
                self._changed.notify_all()

    def pending(self, trial: str) -> list[Report]:
        """The trial's reports that the server has not acknowledged, oldest first."""
        with self._changed:
            return list(self._pending[trial].reports) if trial in self._pending else []

    def drop(self, trial: str) -> None:
        """Discard the trial's pending reports: this worker no longer reports on it."""
        with self._changed:
            self._pending.pop(trial, None)
            self._changed.notify_all()

    def flush(self, trial: str) -> bool:
        """Wait until the trial's reports are acknowledged or dropped. Returns False when overdue first."""
        with self._changed:
            if trial in self._pending:
                self._pending[trial].is_ending = True
            while trial in self._pending and self._pending[trial].has_unsent:
                if self._overdue.is_set():
                    return False
                self._urgent = True
                self._changed.notify_all()
                self._changed.wait(LINGER_SECONDS)
        return True

    def _run(self) -> None:
        while not self._closed.is_set():
            batch = self._next_batch()
            if batch is not None:
                started = time.monotonic()
                self._send(batch)
                call_seconds = time.monotonic() - started
                self._linger_seconds = min(max(LINGER_SECONDS, call_seconds / CALLS_SHARE), LONGEST_LINGER_SECONDS)

    def _next_batch(self) -> ReportBatch | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed.is_set() or self._has_unsent())
            self._changed.wait_for(lambda: self._closed.is_set() or self._urgent, timeout=self._linger_seconds)
            self._urgent = False
            batches = [pending.batch() for pending in self._pending.values() if pending.has_unsent]
        return ReportBatch(trials=batches) if batches else None

    def _has_unsent(self) -> bool:
        return any(pending.has_unsent for pending in self._pending.values())

    def _send(self, batch: ReportBatch) -> None:
        trials = [sent.trial for sent in batch.trials]
        try:
            answer = keep_trying(lambda: self._server.report(self._lease_id, batch), self._closed, "report")
        except UnreachableError:
            return
        except LostLeaseError:
            self._lose(trials)
        except ServerError as error:
            self._refused(trials, error)
        else:
            self._directives.post(answer.trials)
            self._lose([trial for trial, directive in answer.trials.items() if directive == "lost"])
            self._acknowledge(batch)

    def _acknowledge(self, batch: ReportBatch) -> None:
        with self._changed:
            for sent in batch.trials:
                pending = self._pending.get(sent.trial)
                if pending is not None:
                    del pending.reports[: len(sent.reports)]
                    pending.announced = sent.checkpoint
                    pending.data = None
            self._changed.notify_all()

    def _lose(self, trials: list[str]) -> None:
        self._directives.lose(trials)
        for trial in trials:
            self.drop(trial)

    def _refused(self, trials: list[str], error: ServerError) -> None:
        if self._closed.is_set():
            return
        log.warning("report_refused", lease=self._lease_id, trials=trials, error=str(error))
        if is_lost(error):
            self._lose(trials)
            return
        self._directives.fail(trials, error)
        for trial in trials:
            self.drop(trial)

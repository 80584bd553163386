"""Reports on their way to the server: buffered, sent in order, kept until acknowledged."""

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
"""How long reports gather before they are sent: short against a person's patience, long
against the epoch of a tiny model, whose worker would else spend itself on calls."""
LONGEST_LINGER_SECONDS = 0.5
CALLS_SHARE = 0.05
"""Of the time, what calls may take: reports gather longer where the server takes long over them, as it does over those
of a cohort of dozens. It judges them the later, so not at any price."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _PendingReports:
    """What waits for one trial. `checkpoint` is sent when it is not yet known to the server."""

    held: TrialAttempt
    horizon_steps: int
    reports: list[Report] = field(default_factory=list)
    checkpoint: str | None = None
    announced: str | None = None
    data: DataSummary | None = None

    @property
    def waits(self) -> bool:
        return bool(self.reports) or self.checkpoint != self.announced

    def batch(self) -> TrialReports:
        return TrialReports(
            trial=self.held.trial,
            attempt=self.held.attempt,
            horizon_steps=self.horizon_steps,
            reports=self.reports[:MAX_REPORTS_PER_CALL],
            checkpoint=self.checkpoint,
            data=self.data,
        )


class Outbox:
    """Sends the reports of one lease's trials from a thread of its own.

    A report leaves the outbox when the server has acknowledged it, or when its trial is no longer ours;
    while a call is under way, further reports gather and share the next one.
    """

    def __init__(self, server: LeaseServer, lease_id: str, directives: Directives, overdue: threading.Event) -> None:
        """`overdue`: set when a draining worker can wait no longer."""
        self._server = server
        self._lease_id = lease_id
        self._directives = directives
        self._overdue = overdue
        self._closed = threading.Event()
        self._changed = threading.Condition()
        self._pending: dict[str, _PendingReports] = {}
        self._urgent = False
        self._told_data = False
        self._linger_seconds = LINGER_SECONDS
        self._thread = threading.Thread(target=self._run, name=f"outbox-{lease_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closed.set()
        with self._changed:
            self._changed.notify_all()

    def open(self, held: TrialAttempt, horizon_steps: int, data: DataSummary | None = None) -> None:
        """Begin to send for a trial."""
        with self._changed:
            # All trials of a lease have the same data: it is sent with the first batch of the first.
            told, self._told_data = self._told_data, self._told_data or data is not None
            self._pending[held.trial] = _PendingReports(held, horizon_steps, data=None if told else data)

    def put_all(self, reports: Mapping[str, Sequence[Report]]) -> None:
        """By trial, send these after those put before. Nothing is sent for a trial whose pending was dropped."""
        with self._changed:
            for trial, some in reports.items():
                if trial in self._pending:
                    self._pending[trial].reports.extend(some)
            self._changed.notify_all()

    def announce(self, trial: str, checkpoint: str) -> None:
        """Tell the server where the trial was saved."""
        with self._changed:
            if trial in self._pending:
                self._pending[trial].checkpoint = checkpoint
                self._changed.notify_all()

    def pending(self, trial: str) -> list[Report]:
        """The trial's reports that the server has not acknowledged, oldest first."""
        with self._changed:
            return list(self._pending[trial].reports) if trial in self._pending else []

    def drop(self, trial: str) -> None:
        """Forget the trial's pending: it is no longer ours to report on."""
        with self._changed:
            self._pending.pop(trial, None)
            self._changed.notify_all()

    def flush(self, trial: str) -> bool:
        """Wait until every report of the trial is acknowledged or moot; False when overdue first."""
        with self._changed:
            while trial in self._pending and self._pending[trial].waits:
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
                begun = time.monotonic()
                self._send(batch)
                taken = time.monotonic() - begun
                self._linger_seconds = min(max(LINGER_SECONDS, taken / CALLS_SHARE), LONGEST_LINGER_SECONDS)

    def _next_batch(self) -> ReportBatch | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed.is_set() or self._has_waiting())
            self._changed.wait_for(lambda: self._closed.is_set() or self._urgent, timeout=self._linger_seconds)
            self._urgent = False
            batches = [pending.batch() for pending in self._pending.values() if pending.waits]
        return ReportBatch(trials=batches) if batches else None

    def _has_waiting(self) -> bool:
        return any(pending.waits for pending in self._pending.values())

    def _send(self, batch: ReportBatch) -> None:
        named = [sent.trial for sent in batch.trials]
        try:
            answer = keep_trying(lambda: self._server.report(self._lease_id, batch), self._closed, "report")
        except UnreachableError:
            return
        except LostLeaseError:
            self._lose(named)
        except ServerError as error:
            self._refused(named, error)
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

    def _refused(self, named: list[str], error: ServerError) -> None:
        if self._closed.is_set():
            return
        log.warning("report_refused", lease=self._lease_id, trials=named, error=str(error))
        if is_lost(error):
            self._lose(named)
            return
        self._directives.fail(named, error)
        for trial in named:
            self.drop(trial)

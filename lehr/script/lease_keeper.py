"""A background thread that renews a trial's lease and sends its reports while the script trains."""

from __future__ import annotations

import threading
import time

from lehr.client import Client
from lehr.client.retries import keep_trying
from lehr.errors import LostLeaseError, NotFoundError, ServerError, UnreachableError
from lehr.wire.leases import Directive, Lease, LeaseAnswer, Renewal, Report, ReportBatch, TrialAttempt, TrialReports

REPORTS_PER_CALL = 1000


class Keeper:
    """Sends heartbeats every `beat_seconds`, and reports in order as they come, for the single trial of a lease.

    `directive`: the server's latest. Failed calls are retried without a limit while training continues.
    """

    def __init__(self, client: Client, lease: Lease, horizon_steps: int) -> None:
        """`client`: a client without retries."""
        (trial,) = lease.trials
        self.held = TrialAttempt(trial=trial.trial, attempt=trial.attempt)
        self.directive: Directive = "continue"
        self.refusal: ServerError | None = None
        self._client = client
        self._lease = lease
        self._horizon_steps = horizon_steps
        self._reports: list[Report] = []
        self._checkpoint: str | None = None
        """The latest checkpoint that the server has not acknowledged yet."""
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lease-{lease.lease_id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, report: Report | None, checkpoint: str | None) -> None:
        """Queue a report and a checkpoint, unless the trial has ended for the server."""
        with self._changed:
            if self._is_wanted():
                self._reports += [] if report is None else [report]
                self._checkpoint = checkpoint or self._checkpoint
                self._changed.notify_all()

    def flush(self) -> None:
        """Wait until the server has acknowledged all reports and checkpoints, or the trial has ended for it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._has_news())

    def close(self) -> None:
        """Stop the thread. Nothing more is sent, except for a call already in progress."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._closed.is_set() and self._is_wanted():
            due_seconds = time.monotonic() + self._lease.beat_seconds
            with self._changed:
                self._changed.wait_for(
                    lambda: self._has_news() or self._closed.is_set(), timeout=due_seconds - time.monotonic()
                )
                reports, checkpoint = self._reports[:REPORTS_PER_CALL], self._checkpoint
            if not self._closed.is_set():
                self._send(reports, checkpoint)

    def _has_news(self) -> bool:
        return bool(self._reports) or self._checkpoint is not None

    def _is_wanted(self) -> bool:
        return self.refusal is None and self.directive in ("continue", "prune")

    def _send(self, reports: list[Report], checkpoint: str | None) -> None:
        try:
            answer = keep_trying(lambda: self._call(reports, checkpoint), self._closed)
            self._acknowledge(answer.trials[self.held.trial], len(reports), checkpoint)
        except (LostLeaseError, NotFoundError):
            self._acknowledge("lost", len(reports), checkpoint)
        except UnreachableError:
            return
        except ServerError as error:
            if not self._closed.is_set():
                self.refusal = error
                self._acknowledge(self.directive, len(reports), checkpoint)

    def _call(self, reports: list[Report], checkpoint: str | None) -> LeaseAnswer:
        if not reports and checkpoint is None:
            return self._client.renew(self._lease.lease_id, Renewal(trials=[self.held]))
        entry = TrialReports(
            trial=self.held.trial,
            attempt=self.held.attempt,
            horizon_steps=self._horizon_steps,
            reports=reports,
            checkpoint=checkpoint,
        )
        return self._client.report(self._lease.lease_id, ReportBatch(trials=[entry]))

    def _acknowledge(self, directive: Directive, sent: int, checkpoint: str | None) -> None:
        with self._changed:
            self.directive = directive
            # If the trial has ended for the server, the rest is dropped, so that `flush` does not wait for it.
            del self._reports[: sent if self._is_wanted() else len(self._reports)]
            if self._checkpoint == checkpoint or not self._is_wanted():
                self._checkpoint = None
            self._changed.notify_all()

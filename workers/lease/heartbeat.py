"""Sends a lease's heartbeats from a thread while its trials train."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import structlog

from lehr.errors import LostLeaseError, ServerError, UnreachableError
from lehr.wire.leases import Lease, Renewal, TrialAttempt
from workers.lease.directives import Directives
from workers.lease.protocol import LeaseServer
from workers.lease.retry import is_lost, keep_trying
from workers.monitor.trial_progress import Progress

log = structlog.get_logger(__name__)


class Heartbeat:
    """Renews a lease every `beat_seconds` for its unfinished trials, sends their progress, and posts the directives.

    The server's `beat_seconds` is a fraction of the lease (a quarter by default), so two heartbeats in a row may fail
    without harm. A heartbeat that fails is retried forever.
    """

    def __init__(self, server: LeaseServer, lease: Lease, directives: Directives, progress: Progress) -> None:
        self._server = server
        self._lease = lease
        self._directives = directives
        self._progress = progress
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat-{lease.lease_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(self._lease.beat_seconds):
            held = self._directives.held()
            if not held:
                return
            self._beat(Renewal(trials=[self._with_progress(attempt) for attempt in held]))

    def _beat(self, renewal: Renewal) -> None:
        trials = [attempt.trial for attempt in renewal.trials]
        try:
            answer = keep_trying(lambda: self._server.renew(self._lease.lease_id, renewal), self._closed, "renew")
        except UnreachableError:
            return
        except LostLeaseError:
            log.warning("lease_lost", lease=self._lease.lease_id, trials=trials)
            self._directives.lose(trials)
        except ServerError as error:
            self._refused(trials, error)
        else:
            self._directives.post(answer.trials)

    def _with_progress(self, attempt: TrialAttempt) -> TrialAttempt:
        return attempt.model_copy(update={"progress": self._progress.of(attempt.trial)})

    def _refused(self, trials: list[str], error: ServerError) -> None:
        if self._closed.is_set():
            return
        log.warning("beat_refused", lease=self._lease.lease_id, trials=trials, error=str(error))
        if is_lost(error):
            self._directives.lose(trials)
        else:
            self._directives.fail(trials, error)

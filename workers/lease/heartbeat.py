"""The thread that keeps a lease alive while its trials are trained."""

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


class Beats:
    """Renews a lease every `beat_seconds` for all its unfinished trials, tells how they go, and posts the directives.

    The server's `beat_seconds` is a fraction of the lease (a quarter by default), so that
    two beats in a row may fail without harm. A beat that fails is retried for ever.
    """

    def __init__(self, server: LeaseServer, lease: Lease, directives: Directives, progress: Progress) -> None:
        self._server = server
        self._lease = lease
        self._directives = directives
        self._progress = progress
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"beats-{lease.lease_id}", daemon=True)

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
            self._beat(Renewal(trials=[self._told(trial) for trial in held]))

    def _beat(self, renewal: Renewal) -> None:
        named = [held.trial for held in renewal.trials]
        try:
            answer = keep_trying(lambda: self._server.renew(self._lease.lease_id, renewal), self._closed, "renew")
        except UnreachableError:
            return
        except LostLeaseError:
            log.warning("lease_lost", lease=self._lease.lease_id, trials=named)
            self._directives.lose(named)
        except ServerError as error:
            self._refused(named, error)
        else:
            self._directives.post(answer.trials)

    def _told(self, held: TrialAttempt) -> TrialAttempt:
        return held.model_copy(update={"progress": self._progress.of(held.trial)})

    def _refused(self, named: list[str], error: ServerError) -> None:
        if self._closed.is_set():
            return
        log.warning("beat_refused", lease=self._lease.lease_id, trials=named, error=str(error))
        if is_lost(error):
            self._directives.lose(named)
        else:
            self._directives.fail(named, error)

"""The lease loop: claims trials, trains and finishes them, and releases unfinished trials on drain."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import structlog

from lehr.errors import ServerError, UnreachableError
from lehr.wire.leases import Claim, Lease, WorkerInfo
from workers.lease.drain import Drain
from workers.lease.prefetch import LeasePrefetcher
from workers.lease.protocol import LeaseServer
from workers.lease.retry import keep_trying
from workers.lease.router import LeaseRouter
from workers.lease.work import LeaseWork
from workers.monitor.trial_progress import Progress
from workers.trainer import Trainer

CLAIM_WAIT_SECONDS = 2.0
"""How long the server holds a claim when there is no work. This is shorter than the time limit of a drain, so a
draining worker always learns whether it was granted a lease, and can release it."""

log = structlog.get_logger(__name__)


class LeaseLoop:
    """Works through leases until the worker drains."""

    def __init__(
        self,
        server: LeaseServer,
        worker: WorkerInfo,
        trainer: Trainer,
        drain: Drain,
        max_trials: int = 1,
        *,
        progress: Progress | None = None,
        want_processes: Callable[[str, int], object] | None = None,
    ) -> None:
        """`progress`: shared with the live table; a new object by default. `want_processes`: called with a study and
        the number of concurrent processes in which it trains fastest.
        """
        self._want_processes = want_processes
        self._server = server
        self._worker = worker
        self._max_trials = max_trials
        self._trainer = trainer
        self._drain = drain
        self._progress = progress or Progress()
        self._prefetcher = LeasePrefetcher(self._prefetch)

    def run(self) -> None:
        """Return when drained. Raises ServerError when the server refuses a claim."""
        try:
            while not self._drain.requested.is_set():
                work = self._prefetcher.take() or self._next_work()
                if work is not None:
                    self._complete(work)
        finally:
            claimed = self._prefetcher.take()
            if claimed is not None:
                claimed.close()

    def step(self, study: str) -> bool:
        """Work through one lease of this study, and return whether the server granted one. Raises as `run` does."""
        work = self._work_on(self._claim(1, CLAIM_WAIT_SECONDS, study))
        if work is not None:
            self._complete(work)
        return work is not None

    def _complete(self, work: LeaseWork) -> None:
        router = LeaseRouter(work, self._prefetcher, self._drain, self._want_processes)
        self._trainer.train(work.study, work.trials, router)
        router.close()

    def _next_work(self) -> LeaseWork | None:
        most = max(self._max_trials, self._trainer.wanted)
        return self._work_on(self._claim(most, CLAIM_WAIT_SECONDS))

    def _prefetch(self, places: int) -> LeaseWork | None:
        """Claim without waiting: this worker is busy, and an idle one may be waiting for the same trials."""
        try:
            return self._work_on(self._claim(places, 0.0))
        except ServerError as error:
            log.warning("prefetch_refused", error=str(error))
            return None

    def _claim(self, most: int, wait_seconds: float, study: str | None = None) -> Lease | None:
        # All retries share one key: a claim whose answer was lost gets the same lease again.
        key = uuid.uuid4().hex
        request = Claim(worker=self._worker, max_trials=most, wait_seconds=wait_seconds, study=study)
        try:
            return keep_trying(lambda: self._server.claim(request, idempotency_key=key), self._drain.requested, "claim")
        except UnreachableError:
            return None
        except ServerError:
            if self._drain.requested.is_set():
                return None
            raise

    def _work_on(self, lease: Lease | None) -> LeaseWork | None:
        if lease is None:
            return None
        return LeaseWork(self._server, lease, self._trainer, self._drain, self._progress)

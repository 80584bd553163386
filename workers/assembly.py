"""Puts a worker together from its settings."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

import structlog

from lehr.client import Client
from lehr.client.exchange import masked
from lehr.wire.leases import WorkerInfo
from workers.child.child_trainer import ChildTrainer
from workers.child.session import Limits
from workers.lease.allowed_tasks import AllowedTasks
from workers.lease.drain import Drain
from workers.lease.extra_processes import ExtraProcesses, Step
from workers.lease.loop import LeaseLoop
from workers.monitor.trial_progress import Progress
from workers.settings import WorkerSettings

log = structlog.get_logger(__name__)


def build_loop(
    settings: WorkerSettings, trainer: ChildTrainer, drain: Drain, progress: Progress
) -> tuple[LeaseLoop, ExtraProcesses]:
    """The worker's loop, and the processes that it opens beside it where several processes are faster.

    Raises InvalidValueError for a device that is not there, a URL that is none, or a task that cannot be used.
    """
    # The loop itself repeats calls, for as long as it takes: the client need not.
    client = Client(settings.server, retry=None)
    found = trainer.ready()
    worker = WorkerInfo(
        # An id per process: a worker that comes back is another one, and holds none of the old one's leases.
        id=f"w-{uuid.uuid4().hex[:12]}",
        name=settings.worker_name or f"{socket.gethostname()}/{os.getpid()}",
        device=found.device,
        tasks=list(found.offers),
    )
    log.info("worker_started", worker=worker.id, name=worker.name, device=worker.device, server=masked(settings.server))
    names = frozenset(settings.tasks)

    @contextmanager
    def open_process() -> Iterator[Step]:
        with closing(ChildTrainer(settings, Limits.of(settings))) as another:
            yield LeaseLoop(client, worker, AllowedTasks(another, names), drain, progress=progress).step

    processes = ExtraProcesses(open_process, drain)
    allowed, most = AllowedTasks(trainer, names), settings.trials_per_lease
    return LeaseLoop(client, worker, allowed, drain, most, progress=progress, want_processes=processes.want), processes

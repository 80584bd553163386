"""Builds a worker from its settings."""

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
from workers.lease.looks import Looks
from workers.lease.loop import LeaseLoop
from workers.monitor.trial_progress import Progress
from workers.settings import WorkerSettings

log = structlog.get_logger(__name__)


def build_loop(
    settings: WorkerSettings, trainer: ChildTrainer, drain: Drain, progress: Progress
) -> tuple[LeaseLoop, ExtraProcesses, Looks]:
    """The worker's lease loop, its extra training processes, used where several processes are faster, and its looks.

    Raises InvalidValueError for a missing device, an invalid URL, or a task that cannot be used.
    """
    # The loop retries calls itself, for as long as needed, so the client must not.
    client = Client(settings.server, retry=None)
    ready = trainer.ready()
    worker = WorkerInfo(
        # One id per process: a restarted worker is a new worker, and holds none of the old one's leases.
        id=f"w-{uuid.uuid4().hex[:12]}",
        name=settings.worker_name or f"{socket.gethostname()}/{os.getpid()}",
        device=ready.device,
        tasks=list(ready.offers),
    )
    log.info("worker_started", worker=worker.id, name=worker.name, device=worker.device, server=masked(settings.server))
    names = frozenset(settings.tasks)

    @contextmanager
    def open_process() -> Iterator[Step]:
        with closing(ChildTrainer(settings, Limits.of(settings))) as extra:
            yield LeaseLoop(client, worker, AllowedTasks(extra, names), drain, progress=progress).step

    processes = ExtraProcesses(open_process, drain)
    allowed, most = AllowedTasks(trainer, names), settings.trials_per_lease
    loop = LeaseLoop(client, worker, allowed, drain, most, progress=progress, want_processes=processes.want)
    described = [offer.name for offer in ready.offers if offer.looks]
    return loop, processes, Looks(client, worker.id, described, settings.data_dir, drain)

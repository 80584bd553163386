"""Puts a worker together from its settings."""

from __future__ import annotations

import os
import socket
import uuid

import structlog

from lehr.client import Client
from lehr.wire.leases import WorkerInfo
from workers.allowed import AllowedTasks
from workers.checkpoints import Checkpoints
from workers.device import configure_torch, describe, resolve_device
from workers.drain import Drain
from workers.loop import LeaseLoop
from workers.settings import WorkerSettings
from workers.solo import SoloTrainer
from workers.tasks.registry import offers

log = structlog.get_logger(__name__)


def build_loop(settings: WorkerSettings, drain: Drain) -> LeaseLoop:
    """Raises InvalidValueError for a device that is not there, a URL that is none, or a task that cannot be used."""
    device = resolve_device(settings.device)
    configure_torch(device, settings.threads)
    worker = WorkerInfo(
        # An id per process: a worker that comes back is another one, and holds none of the old one's leases.
        id=f"w-{uuid.uuid4().hex[:12]}",
        name=settings.worker_name or f"{socket.gethostname()}/{os.getpid()}",
        device=describe(device),
        tasks=list(offers(settings.tasks)),
    )
    # The loop itself repeats calls, for as long as it takes: the client need not.
    client = Client(settings.server, retry=None)
    checkpoints = Checkpoints(settings.checkpoints)
    trainer = SoloTrainer(device, checkpoints, settings.checkpoint_seconds, data_dir=settings.data_dir)
    log.info("worker_started", worker=worker.id, name=worker.name, device=worker.device, server=settings.server)
    allowed = AllowedTasks(trainer, frozenset(settings.tasks))
    return LeaseLoop(client, worker, allowed, drain, settings.trials_per_lease)

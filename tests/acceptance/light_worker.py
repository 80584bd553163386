"""A worker without a separate training process, which starts in milliseconds if torch is already imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from lehr.client import Client
from lehr.wire.leases import WorkerInfo
from workers.checkpoints.saving import Checkpoints
from workers.checkpoints.storage import open_storage
from workers.lease.drain import Drain
from workers.lease.loop import LeaseLoop
from workers.monitor.logs import configure_logs
from workers.tasks.files import DEFAULT_DATA_DIR
from workers.tasks.registry import offers
from workers.training.device import configure_torch
from workers.training.solo import SoloTrainer


def work(
    url: str,
    name: str,
    checkpoints: str,
    checkpoint_seconds: float,
    tasks: Sequence[str] = ("digits",),
    data_dir: Path = DEFAULT_DATA_DIR,
) -> None:
    """Until SIGTERM."""
    drain = Drain()
    drain.install()
    configure_logs("warning", "console")
    device = torch.device("cpu")
    configure_torch(device, threads=1)
    info = WorkerInfo(id=name, name=name, device="cpu", tasks=list(offers(tasks)))
    trainer = SoloTrainer(device, Checkpoints(open_storage(checkpoints)), checkpoint_seconds, data_dir=data_dir)
    LeaseLoop(Client(url, retry=None), info, trainer, drain).run()

"""Runs a worker in a thread of the test, against the fake server over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from lehr.client import Client
from lehr.wire.leases import WorkerInfo
from tests.unit.workers.fake_server import FakeServer
from workers.checkpoints.saving import Checkpoints
from workers.checkpoints.storage import open_storage
from workers.cohort.advisor import Advisor
from workers.cohort.choice import ChoiceCache
from workers.cohort.cohort_trainer import CohortTrainer
from workers.cohort.replay import Recorder
from workers.lease.drain import Drain
from workers.lease.loop import LeaseLoop
from workers.tasks.files import DEFAULT_DATA_DIR
from workers.tasks.registry import offers
from workers.trainer import Trainer
from workers.training.device import configure_torch
from workers.training.solo import SoloTrainer


def _join_helpers() -> None:
    """Wait for heartbeat and outbox threads that outlive an overdue drain, since they still use the client."""
    for helper in threading.enumerate():
        if helper.name.startswith(("heartbeat-", "outbox-")):
            helper.join(timeout=10)


@contextmanager
def working(
    server: FakeServer,
    folder: Path,
    *,
    max_trials: int = 1,
    checkpoint_seconds: float = 10.0,
    data_dir: Path = DEFAULT_DATA_DIR,
    together: int | None = None,
    recorder: Recorder | None = None,
) -> Iterator[Drain]:
    """Run a worker during the block, and drain it at the end.

    `together`: the size of the cohorts it trains. `recorder`: replays their steps.
    """
    device = torch.device("cpu")
    configure_torch(device, threads=1)
    drain = Drain()
    checkpoints = Checkpoints(open_storage(str(folder)))
    solo = SoloTrainer(device, checkpoints, checkpoint_seconds, data_dir=data_dir)
    trainer: Trainer = solo
    if together is not None:
        advisor = Advisor(
            device, ChoiceCache(folder / "choices"), fixed_size=together, data_dir=data_dir, recorder=recorder
        )
        trainer = CohortTrainer(
            solo, advisor, device, checkpoints, checkpoint_seconds=checkpoint_seconds, recorder=recorder
        )
    worker = WorkerInfo(id="w-1", name="test", device="cpu", tasks=list(offers(["digits"])))
    client = Client(server.url, retry=None, timeout=5)
    loop = LeaseLoop(client, worker, trainer, drain, max_trials)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            loop.run()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield drain
    finally:
        drain.request()
        thread.join(timeout=20)
        _join_helpers()
        client.close()
        assert not thread.is_alive(), "the worker did not end"
    if failures:
        raise failures[0]

"""The entry point of the training process: prepares the trainers, then trains until the worker ends the process."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from lehr.errors import InvalidValueError
from workers.child.link import Link
from workers.child.logs import forward_logs
from workers.child.messages import Idle, Ready, Refused, Setup
from workers.lease.drain import SIGNALS
from workers.settings import WorkerSettings
from workers.trainer import Trainer

MOST_ON_A_GPU = 4

OOM_SCORE = "500"
"""When memory runs out, the kernel kills this process before the worker, the server and the database."""


def main(descriptor: int) -> None:
    """Train until the worker ends the process. `descriptor`: of the pipe to the worker."""
    process = os.getpid()
    _prepare()
    link = Link(Connection(descriptor))
    try:
        _work(link)
    finally:
        if os.getpid() != process:
            # A fork that the task made and did not end.
            os._exit(1)


def _prepare() -> None:
    # The worker blocks these signals, and a blocked mask is inherited.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Flushed by line, so that os._exit and SIGKILL lose no lines.
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)


def _work(link: Link) -> None:
    trainer: Trainer | None = None
    while True:
        order = link.next_order()
        if isinstance(order, Setup):
            forward_logs(order.settings.log_level, link)
            trainer = _get_ready(order.settings, link)
        elif trainer is not None:
            trainer.train(order.study, order.trials, link)
            link.send(Idle(trainer.wanted))


def most_processes(settings: WorkerSettings, device_type: str) -> int:
    """The maximum number of concurrent training processes.

    Without the setting, processes share a GPU, unless a memory limit suggests that other workers use it. They do not
    share a CPU: there, one single-threaded worker for each core keeps the cores busy.
    """
    if settings.processes is not None:
        return settings.processes
    is_divided = settings.gpu_memory_share is not None or settings.memory_limit_mib is not None
    return MOST_ON_A_GPU if device_type == "cuda" and not is_divided else 1


def _get_ready(settings: WorkerSettings, link: Link) -> Trainer | None:
    # Imported here, because torch takes seconds to import, and the worker starts up meanwhile.
    from workers.checkpoints.saving import Checkpoints
    from workers.checkpoints.storage import open_storage
    from workers.child.gauge import Gauge
    from workers.cohort.advisor import Advisor
    from workers.cohort.capture import recorder_of
    from workers.cohort.choice import ChoiceCache
    from workers.cohort.cohort_trainer import CohortTrainer
    from workers.tasks.registry import offers
    from workers.training.device import bound_memory, configure_torch, describe, resolve_device
    from workers.training.solo import SoloTrainer

    try:
        device = resolve_device(settings.device)
        checkpoints = Checkpoints(open_storage(settings.checkpoints))
        tasks = tuple(offers(settings.tasks))
    except InvalidValueError as error:
        link.send(Refused(error.faults))
        return None
    configure_torch(device, settings.threads)
    bound_memory(device, settings.gpu_memory_share)
    link.gauge = Gauge(device).read
    seconds, data_dir = settings.checkpoint_seconds, settings.data_dir
    solo = SoloTrainer(device, checkpoints, seconds, data_dir=data_dir)
    choices = ChoiceCache(settings.calibration)
    recorder = recorder_of(device, settings.cuda_graphs)
    advisor = Advisor(
        device,
        choices,
        fixed_size=settings.cohort,
        probe_after=settings.probe_after,
        data_dir=data_dir,
        recorder=recorder,
        most_processes=most_processes(settings, device.type),
        memory_share=settings.gpu_memory_share,
    )
    link.send(Ready(describe(device), tasks))
    return CohortTrainer(
        solo,
        advisor,
        device,
        checkpoints,
        checkpoint_seconds=seconds,
        trials_per_lease=settings.trials_per_lease,
        recorder=recorder,
        data_dir=data_dir,
    )

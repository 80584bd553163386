"""`lehr up`: runs a server and workers on this machine."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from lehr.cli import settings
from lehr.cli.display.output import err, say
from lehr.cli.local.data_folder import DataFolder
from lehr.cli.local.supervisor import Plan, Supervisor
from lehr.cli.settings import DataOption, DeviceOption, HostOption, PortOption

TICK_SECONDS = 0.2
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8765


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: an orderly shutdown like Ctrl-C, not a failure."""


def up(
    *,
    host: HostOption = DEFAULT_HOST,
    port: PortOption = DEFAULT_PORT,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=0,
            max=1024,
            help="Number of workers, 0 for none; by default one per GPU, or per core without a GPU.",
        ),
    ] = None,
    data: DataOption = settings.DEFAULT_DATA,
    device: DeviceOption = "auto",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print logs to stderr instead of to DIR/logs.")
    ] = False,
) -> None:
    """Run a server and workers on this machine, with SQLite. Ctrl-C ends them; studies stay and continue next time."""
    try:
        with running(data, Plan(host, port, workers, device, verbose)) as supervisor:
            say(
                f"lehr is up on {supervisor.url}, data in {data}. "
                "Press Ctrl-C to stop; studies continue at the next `lehr up`."
            )
            while True:
                supervisor.tick()
                time.sleep(TICK_SECONDS)
    except Terminated:
        raise typer.Exit from None


@contextmanager
def running(data: Path, plan: Plan) -> Iterator[Supervisor]:
    """Start a supervisor, and stop it on exit, whatever the reason."""
    plan.require_programs()  # before the folder is made
    with DataFolder(data) as folder, _signals_end_it():
        supervisor = Supervisor(folder, plan, say)
        try:
            supervisor.start()
            yield supervisor
        finally:
            err.print("stopping workers and server …")
            supervisor.stop()


@contextmanager
def _signals_end_it() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        # Only once: a second SIGTERM must not cut the orderly shutdown short.
        for ignored in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        raise Terminated

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    # A shell makes background jobs ignore SIGINT; `up` promises to stop on it.
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

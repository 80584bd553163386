"""Runs real processes on this machine: `lehr up` and the commands that talk to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lehr.client import Client

ROOT = Path(__file__).parents[2]
LEHR = [sys.executable, "-m", "lehr.cli"]
LEASE_SECONDS = 3.0


def until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """The first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return value


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that is dead but not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Machine:
    """A data folder and a port of its own, and every process started on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "LEHR_SERVER": self.url,
            "LEHR_LEASE_SECONDS": str(LEASE_SECONDS),
            "LEHR_BEAT_SECONDS": str(LEASE_SECONDS / 6),
        }
        self._started: list[subprocess.Popen[str]] = []
        self._pids: set[int] = set()

    def start(self, *command: str) -> subprocess.Popen[str]:
        """A command in the background, its output in a file that `text_of` reads."""
        index = len(self._started)
        with (self.folder / f"{index}.out").open("w") as out, (self.folder / f"{index}.err").open("w") as err:
            process = subprocess.Popen(
                [*LEHR, *command], cwd=ROOT, env=self._environment, stdout=out, stderr=err, text=True
            )
        self._started.append(process)
        self._pids.add(process.pid)
        return process

    def text_of(self, process: subprocess.Popen[str], stream: str) -> str:
        return (self.folder / f"{self._started.index(process)}.{stream}").read_text()

    def end(self, process: subprocess.Popen[str], seconds: float) -> int:
        """Its exit code, once it has ended by itself."""
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds:g} s: {self.text_of(process, 'err')}") from None

    def up(self, workers: int = 2) -> subprocess.Popen[str]:
        """`lehr up`, ready. Its children are noted, so that all can be looked for afterwards."""
        place = ["--data", str(self.data), "--port", str(self.port), "--workers", str(workers), "--device", "cpu"]
        process = self.start("up", *place)

        def ready() -> bool:
            assert process.poll() is None, self.text_of(process, "err")
            return "lehr is up" in self.text_of(process, "err")

        until(ready, "lehr up is ready", 90)
        self._pids |= self.children()
        return process

    def state(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.data / "up.json").read_text())
        return document

    def children(self) -> set[int]:
        state = self.state()
        return {state["server"], *state["workers"].values()}

    def alive(self) -> set[int]:
        """What still runs of all that was ever started here."""
        return {pid for pid in self._pids if is_alive(pid)}

    def client(self) -> Client:
        return Client(self.url)

    def clean_up(self) -> None:
        """End what is left, each by its id."""
        with contextlib.suppress(OSError, ValueError):
            self._pids |= self.children()
        for pid in self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._started:
            process.wait(30)


@contextlib.contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    here = Machine(folder)
    try:
        yield here
    finally:
        here.clean_up()

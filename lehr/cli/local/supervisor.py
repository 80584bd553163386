"""Supervises a server and its workers on this machine: starts, restarts and stops them in order."""

from __future__ import annotations

import math
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from lehr.cli import settings
from lehr.cli.local.data_folder import DataFolder
from lehr.cli.local.hardware import core_count, gpu_count, worker_count
from lehr.cli.local.process import Child, program_environment, require
from lehr.errors import LehrError

READY_SECONDS = 60.0
PORT_SECONDS = 10.0
DRAIN_SECONDS = 10.0
LOOK_SECONDS = 0.1
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A worker that ran at least this long counts as healthy: the restart backoff is reset."""
USAGE_EXIT_CODE = 2
SHARED_GPU_MEMORY = 0.9
"""The fraction of a GPU's memory for all its workers together; the rest is for their CUDA contexts."""


class ServerEndedError(LehrError):
    """The server did not start, or exited unexpectedly."""


class WorkerRefusedError(LehrError):
    """A worker rejected its settings; restarting it would not help."""


class PortTakenError(LehrError):
    """Another program is using the port."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What `lehr up` starts. `workers` None: one per GPU, or one per core without a GPU (see `hardware`)."""

    host: str
    port: int
    workers: int | None = None
    device: str = "auto"
    verbose: bool = False

    @property
    def worker_count(self) -> int:
        return worker_count() if self.workers is None else self.workers

    def require_programs(self) -> None:
        """Raise NotInstalledError if the server, or workers that the plan needs, are not installed."""
        require("service")
        if self.worker_count:
            require("workers")


@dataclass(slots=True)
class WorkerSlot:
    """A worker process, its consecutive losses, and when it may be restarted."""

    child: Child
    losses: int = 0
    due_seconds: float | None = None


class Supervisor:
    """Runs the server and the workers. Call `start`, then `tick` often, and always `stop`. `say` prints messages."""

    def __init__(self, folder: DataFolder, plan: Plan, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._plan = plan
        self._say = say
        self._slots: list[WorkerSlot] = []
        self._server: Child | None = None
        self.url = ""

    def start(self) -> None:
        """Start the server, wait until it is ready, and start the workers.

        Raises ServerEndedError, PortTakenError or NotInstalledError.
        """
        self._plan.require_programs()
        _await_port(self._plan.host, self._plan.port, self._say)
        self._server = self._child("server", self._server_command())
        self._server.start()
        self._await_ready()
        for index in range(self._plan.worker_count):
            slot = WorkerSlot(self._child(f"worker-{index}", self._worker_command(index)))
            self._slots.append(slot)
            slot.child.start()
        self._write_state()

    def tick(self) -> None:
        """Restart lost workers. Raises ServerEndedError or WorkerRefusedError."""
        self._check_server()
        for slot in self._slots:
            self._keep_running(slot)

    def stop(self) -> None:
        """Stop the workers, so that they release their leases, then the server. A second Ctrl-C kills them."""
        try:
            self._end([slot.child for slot in self._slots])
            self._end([self._server] if self._server else [])
        except KeyboardInterrupt:
            self._say("killing the remaining processes")
        finally:
            for child in [*(slot.child for slot in self._slots), *([self._server] if self._server else [])]:
                child.signal(signal.SIGKILL)
                child.end(0)

    def _end(self, children: list[Child]) -> None:
        for child in children:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + DRAIN_SECONDS
        for child in children:
            child.end(deadline - time.monotonic())

    def _child(self, name: str, command: list[str]) -> Child:
        log = None if self._plan.verbose else self._folder.logs / f"{name}.log"
        threads = core_count() // max(1, self._plan.worker_count)
        return Child(name, command, log=log, environment=program_environment(settings.child_environment(threads)))

    def _server_command(self) -> list[str]:
        place = ["--host", self._plan.host, "--port", str(self._plan.port), "--port-file", str(self._folder.port_file)]
        return ["service", "serve", "--database", self._folder.database_url, "--migrate", *place]

    def _worker_command(self, index: int) -> list[str]:
        device = self._plan.device
        if device == "auto" and gpu_count() > 1:
            device = f"cuda:{index % gpu_count()}"
        name = f"{socket.gethostname()}/{index}"
        return ["workers", "--server", self.url, "--device", device, "--name", name, *self._places(), *self._share()]

    def _share(self) -> list[str]:
        """The flag for an equal share of the GPU's memory, if several workers share a GPU."""
        together = math.ceil(self._plan.worker_count / gpu_count()) if gpu_count() else 1
        if self._plan.device == "cpu" or together < 2 or settings.is_set(settings.GPU_MEMORY_VARIABLE):
            return []
        return ["--gpu-memory-share", f"{SHARED_GPU_MEMORY / together:.3f}"]

    def _places(self) -> list[str]:
        """The flags for folders of the workers: in the data folder, unless an environment variable sets them."""
        places = (
            ("--checkpoints", self._folder.checkpoints, settings.CHECKPOINTS_VARIABLE),
            ("--data-dir", self._folder.datasets, settings.DATA_DIR_VARIABLE),
            ("--calibration", self._folder.calibration, settings.CALIBRATION_VARIABLE),
        )
        return [part for flag, path, variable in places if not settings.is_set(variable) for part in (flag, str(path))]

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            self._check_server()
            port = self._folder.port()
            if port is not None:
                self.url = f"http://{_local_host(self._plan.host)}:{port}"
                if _is_ready(self.url):
                    return
            time.sleep(LOOK_SECONDS)
        raise ServerEndedError(f"The server was not ready after {READY_SECONDS:g} s.{self._trail(self._server)}")

    def _check_server(self) -> None:
        if self._server is None or not self._server.is_running:
            code = self._server.exit_code if self._server else None
            raise ServerEndedError(f"The server exited {_how(code)}.{self._trail(self._server)}")

    def _keep_running(self, slot: WorkerSlot) -> None:
        now = time.monotonic()
        if slot.child.is_running:
            return
        if slot.due_seconds is None:
            if slot.child.exit_code == USAGE_EXIT_CODE:
                raise WorkerRefusedError(f"{slot.child.name} rejected its settings.{self._trail(slot.child)}")
            slot.losses = 0 if now - slot.child.started_seconds >= STEADY_SECONDS else slot.losses
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**slot.losses)
            slot.losses, slot.due_seconds = min(slot.losses + 1, 10), now + pause
            last = slot.child.tail().splitlines()[-1:]
            reason = f": {last[0]}" if last and slot.child.exit_code else ""
            self._say(f"{slot.child.name} exited {_how(slot.child.exit_code)}{reason}; restarting it in {pause:g} s")
        elif now >= slot.due_seconds:
            slot.due_seconds = None
            slot.child.start()
            self._write_state()

    def _trail(self, child: Child | None) -> str:
        tail = child.tail() if child else ""
        return f" The last lines of its log:\n{tail}" if tail else ""

    def _write_state(self) -> None:
        pids = {slot.child.name: slot.child.pid for slot in self._slots}
        server = self._server.pid if self._server else None
        self._folder.write_state({"pid": os.getpid(), "url": self.url, "server": server, "workers": pids})


def _await_port(host: str, port: int, say: Callable[[str], None]) -> None:
    """Wait briefly for a port that is in use: a server that was just stopped may still hold it."""
    deadline = time.monotonic() + PORT_SECONDS
    waiting = False
    while port and not _is_free(host, port):
        if time.monotonic() >= deadline:
            raise PortTakenError(f"Port {port} on {host} is in use by another program. Choose another --port.")
        if not waiting:
            say(f"port {port} is in use; waiting up to {PORT_SECONDS:g} s for it")
            waiting = True
        time.sleep(LOOK_SECONDS)


def _is_free(host: str, port: int) -> bool:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise PortTakenError(f"{host!r} is not an address of this machine: {error.strerror}.") from error
    with socket.socket(family, kind, protocol) as probe:
        # As the server does, so that lingering connections of a previous server do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5.0, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _local_host(host: str) -> str:
    """The host name by which this machine reaches a server that listens on `host`."""
    if host in ("0.0.0.0", ""):
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host


def _how(exit_code: int | None) -> str:
    if exit_code is None:
        return "before it started"
    return f"by signal {-exit_code}" if exit_code < 0 else f"with exit code {exit_code}"

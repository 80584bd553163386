"""Runs the server or a worker as a child process that ends with its parent."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import lehr
from lehr.errors import LehrError

EXTRAS = {"service": "server", "workers": "worker"}
"""The package extra that installs each program's dependencies."""
NEEDED_PACKAGES = {
    "service": ("fastapi", "optuna", "sqlalchemy", "uvicorn"),
    "workers": ("torch", "sklearn", "pyarrow"),
}
"""Packages that show whether a program's extra is installed."""
TAIL_LINES = 15
TAIL_BYTES = 16_384


class NotInstalledError(LehrError):
    """The server, the workers, or packages they need are not installed."""


def programs_folder() -> Path | None:
    """The folder of this installation that contains `service`, `workers` and `migrations`; None in a checkout.

    The wheel puts them inside `lehr`, so that it installs no top-level modules `service` and `workers`; only the
    processes that run them have this folder on their path.
    """
    folder = Path(lehr.__file__).parent / "_programs"
    return folder if folder.is_dir() else None


def require(module: str) -> None:
    """Raise NotInstalledError if the program `module` or packages that it needs are missing."""
    if programs_folder() is None and not _is_in_checkout(module):
        raise NotInstalledError(
            f"This installation of lehr does not contain the program {module!r}. "
            "Install lehr from its wheel, or run this command in a checkout after `make setup`."
        )
    missing = [package for package in NEEDED_PACKAGES[module] if importlib.util.find_spec(package) is None]
    if missing:
        raise NotInstalledError(
            f"This command needs the packages of the extra {EXTRAS[module]!r} (not found: {', '.join(missing)}). "
            f"Run: pip install 'lehr[{EXTRAS[module]}]', or 'lehr[all]' for server and workers."
        )


def program_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with which a process and its children find the programs."""
    folder = programs_folder()
    if folder is None:
        return dict(environment)
    others = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    # Without PYTHONSAFEPATH a folder named `service` or `workers` in the working directory would be run instead.
    return {**environment, "PYTHONPATH": os.pathsep.join([str(folder), *others]), "PYTHONSAFEPATH": "1"}


def _is_in_checkout(module: str) -> bool:
    # `python -m`, which runs the program, also searches the working directory, unlike the script `lehr`.
    return (Path.cwd() / module / "__main__.py").is_file() or importlib.util.find_spec(module) is not None


class Child:
    """A child process. `log`: its log file; None for stderr.

    It runs in its own process group, so that Ctrl-C in the terminal reaches only its parent, which stops the
    children in the right order.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, log: Path | None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._command = command
        self._log = log
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self.started_seconds = 0.0
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        command = [sys.executable, "-m", "lehr.cli.local.leash", str(os.getpid()), *self._command]
        self._log_start = self._log.stat().st_size if self._log and self._log.is_file() else 0
        with self._log.open("ab") if self._log else contextlib.nullcontext(sys.stderr) as stream:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=self._environment,
                process_group=0,
            )
        self.started_seconds = time.monotonic()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole process group if it is still running."""
        if self.is_running and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def end(self, seconds: float) -> None:
        """Wait up to `seconds` for the process to end, then kill it."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._process.wait()

    def tail(self) -> str:
        """The last lines of its log since it was started."""
        if self._log is None or not self._log.is_file():
            return ""
        with self._log.open("rb") as stream:
            stream.seek(max(self._log_start, self._log.stat().st_size - TAIL_BYTES))
            lines = stream.read().decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

"""The data folder of `lehr up`: its layout, and a lock so that only one `lehr up` uses it."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from lehr.errors import LehrError


class DataFolderError(LehrError):
    """The data folder cannot be used."""


class DataFolder:
    """A data folder, locked while it is open. Only one process can have it open at a time.

    The operating system releases the lock when the process ends for any reason.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.database = self.root / "lehr.sqlite"
        self.checkpoints = self.root / "checkpoints"
        self.datasets = self.root / "datasets"
        self.calibration = self.root / "calibration"
        self.logs = self.root / "logs"
        self.port_file = self.root / "server.port"
        self.state_file = self.root / "up.json"
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        try:
            for folder in (self.root, self.checkpoints, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.root / "up.lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise DataFolderError(f"The data folder {self.root} cannot be used: {error.strerror}.") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            self._lock.close()
            raise DataFolderError(
                f"Another `lehr up` (process {holder}) is using {self.root}. Stop it first, or choose another --data."
            ) from None
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()
        self.port_file.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.state_file.unlink(missing_ok=True)
        self.port_file.unlink(missing_ok=True)
        if self._lock:
            self._lock.close()
            self._lock = None

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.database}"

    def port(self) -> int | None:
        """The port that the server has bound; None if it has not yet."""
        try:
            return int(self.port_file.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None

    def write_state(self, state: dict[str, Any]) -> None:
        """Record the running processes for people and programs. The file is replaced atomically."""
        fresh = self.state_file.with_suffix(".new")
        fresh.write_text(json.dumps(state) + "\n", encoding="utf-8")
        fresh.replace(self.state_file)

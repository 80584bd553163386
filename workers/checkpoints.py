"""Where trials are saved so that the next attempt goes on from there.

One file per trial: the SHA-256 of what follows, then torch's own format. It appears whole or
not at all (written beside, flushed to the disk, renamed), and one that does not match its
digest counts as none.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tempfile
import time
from pathlib import Path
from typing import Any

import structlog
import torch

STALE_SECONDS = 3600.0
"""Age at which an unfinished file is what a killed worker left behind."""
MOST_COSTLY_SHARE = 0.02
"""Saving may take this share of a trial's time, whatever the cadence."""
_DIGEST_BYTES = hashlib.sha256().digest_size

log = structlog.get_logger(__name__)


class Checkpoints:
    """A folder of checkpoints, one per trial, that several workers may share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def path(self, trial: str) -> Path:
        return self._folder.absolute() / f"{trial}.pt"

    def save(self, trial: str, state: dict[str, Any]) -> Path:
        """Raises OSError when the folder cannot hold it; what was there before then still is."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        payload = buffer.getvalue()
        path = self.path(trial)
        _write_atomically(path, hashlib.sha256(payload).digest() + payload)
        return path

    def load(self, trial: str, fingerprint: str, told: str | None) -> dict[str, Any] | None:
        """The furthest state of this very run, None when there is none.

        `told`: where the server says an earlier attempt saved it; believed only when the file
        is named after the trial, since it comes from elsewhere.
        """
        states = [state for path in self._candidates(trial, told) if (state := _read(path, fingerprint)) is not None]
        return max(states, key=lambda state: int(state["run"]["step"]), default=None)

    def discard(self, trial: str, told: str | None = None) -> None:
        """The trial is finished: no attempt will ask for its state again."""
        for path in self._candidates(trial, told):
            path.unlink(missing_ok=True)

    def _candidates(self, trial: str, told: str | None) -> list[Path]:
        own = self.path(trial)
        if told is None or Path(told).name != own.name or Path(told) == own:
            return [own]
        return [own, Path(told)]

    def _sweep(self) -> None:
        for path in self._folder.glob(".*.tmp"):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink(missing_ok=True)


class Cadence:
    """When to save next: every `seconds`, and more rarely where saving is costly. Times are monotonic seconds."""

    def __init__(self, seconds: float, now: float) -> None:
        self._seconds = seconds
        self._next = now + seconds

    def due(self, now: float) -> bool:
        return now >= self._next

    def saved(self, started: float, now: float) -> None:
        self._next = now + max(self._seconds, (now - started) / MOST_COSTLY_SHARE)


def _write_atomically(path: Path, content: bytes) -> None:
    descriptor, beside = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    # Without this the rename itself may be lost with the machine's power.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The file's state, None (and a line in the log) when it is not one of this very run."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _log_ignored(path, str(error))
        return None
    digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(payload).digest() != digest:
        _log_ignored(path, "torn")
        return None
    try:
        state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        _log_ignored(path, str(error))
        return None
    if not isinstance(state, dict) or state.get("fingerprint") != fingerprint:
        _log_ignored(path, "of another run")
        return None
    return state


def _log_ignored(path: Path, reason: str) -> None:
    log.warning("checkpoint_ignored", path=str(path), reason=reason)

"""Saves a trial's state, and loads it so that the next attempt can continue.

A generation is a SHA-256 digest, followed by the state in torch's format that it covers. A generation that does not
match its digest, or belongs to another run, is ignored, and the one before it is used.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any

import structlog
import torch

from workers.checkpoints.generations import KEPT_GENERATIONS, discard, generations, name_of, previous_storage
from workers.checkpoints.storage import Storage

MOST_COSTLY_SHARE = 0.02
"""The maximum share of a trial's time that saving may take, whatever the cadence."""
_DIGEST_BYTES = hashlib.sha256().digest_size

log = structlog.get_logger(__name__)


class Checkpoints:
    """The checkpoints of all trials, in storage that several workers may share."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._kept: dict[str, list[str]] = {}

    def save(self, trial: str, step: int, state: dict[str, Any]) -> str:
        """Save a generation and return its location. Raises OSError on failure, which leaves earlier ones intact."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        payload = buffer.getvalue()
        name = name_of(trial, step)
        self._storage.write(name, hashlib.sha256(payload).digest() + payload)
        kept = [*(other for other in self._kept.get(trial, []) if other != name), name]
        for old in kept[:-KEPT_GENERATIONS]:
            self._storage.delete(old)
        self._kept[trial] = kept[-KEPT_GENERATIONS:]
        return self._storage.place(name)

    def load(self, trial: str, fingerprint: str, checkpoint: str | None) -> dict[str, Any] | None:
        """The most advanced state of this run; None if there is none. `checkpoint`: its location at the server."""
        states = []
        try:
            states = [self._newest(self._storage, trial, fingerprint)]
            previous = previous_storage(self._storage, trial, checkpoint)
            if previous is not None:
                states.append(self._newest(previous, trial, fingerprint))
        except OSError as error:
            _log_ignored(checkpoint or trial, str(error))
        sound = [state for state in states if state is not None]
        return max(sound, key=lambda state: int(state["run"]["step"]), default=None)

    def discard(self, trial: str, checkpoint: str | None = None) -> None:
        """Delete the checkpoints of a trial that has a result. Raises OSError."""
        self._kept.pop(trial, None)
        discard(self._storage, trial, checkpoint)

    def _newest(self, storage: Storage, trial: str, fingerprint: str) -> dict[str, Any] | None:
        """The newest sound state in a storage. In this worker's own storage, later saves delete it and older ones."""
        names = generations(storage, trial)
        for index, name in enumerate(names):
            state = _read(storage, name, fingerprint)
            if state is not None:
                if storage is self._storage:
                    self._kept[trial] = names[index:][::-1]
                return state
        return None


class Cadence:
    """When to save next: every `seconds`, or less often if saving is slow. Times are in monotonic seconds."""

    def __init__(self, seconds: float, now: float) -> None:
        self._seconds = seconds
        self._next = now + seconds

    def due(self, now: float) -> bool:
        return now >= self._next

    def saved(self, started: float, now: float) -> None:
        self._next = now + max(self._seconds, (now - started) / MOST_COSTLY_SHARE)


def _read(storage: Storage, name: str, fingerprint: str) -> dict[str, Any] | None:
    """A generation's state; None, with a log line, if it is corrupt or of another run."""
    try:
        content = storage.read(name)
    except OSError as error:
        _log_ignored(storage.place(name), str(error))
        return None
    digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(payload).digest() != digest:
        _log_ignored(storage.place(name), "torn")
        return None
    try:
        state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - on crafted bytes, torch may raise anything
        _log_ignored(storage.place(name), f"{type(error).__name__}: {error}")
        return None
    if not _is_of(fingerprint, state):
        _log_ignored(storage.place(name), "of another run")
        return None
    return dict(state)


def _is_of(fingerprint: str, state: Any) -> bool:
    """Whether it is a well-formed state of this run; anyone may have written the file."""
    if not isinstance(state, dict) or state.get("fingerprint") != fingerprint:
        return False
    run = state.get("run")
    return isinstance(run, dict) and isinstance(run.get("step"), int)


def _log_ignored(place: str, reason: str) -> None:
    log.warning("checkpoint_ignored", path=place, reason=reason)

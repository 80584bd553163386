"""How a trial is saved so that the next attempt goes on from there.

A generation is the SHA-256 of what follows, then torch's own format. One that does not match its digest, or is not of
this very run, counts as none, and the one before it is used.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any

import structlog
import torch

from workers.checkpoints.generations import KEPT_GENERATIONS, discard, generations, name_of, told_storage
from workers.checkpoints.storage import Storage

MOST_COSTLY_SHARE = 0.02
"""Saving may take this share of a trial's time, whatever the cadence."""
_DIGEST_BYTES = hashlib.sha256().digest_size

log = structlog.get_logger(__name__)


class Checkpoints:
    """The checkpoints of all trials, in a storage that several workers may share."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._kept: dict[str, list[str]] = {}

    def save(self, trial: str, step: int, state: dict[str, Any]) -> str:
        """The place where it lies. Raises OSError when the storage cannot hold it; what was there before still is."""
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

    def load(self, trial: str, fingerprint: str, told: str | None) -> dict[str, Any] | None:
        """The furthest state of this very run, None when there is none. `told`: where the server says it was saved."""
        states = []
        try:
            states = [self._newest(self._storage, trial, fingerprint)]
            elsewhere = told_storage(self._storage, trial, told)
            if elsewhere is not None:
                states.append(self._newest(elsewhere, trial, fingerprint))
        except OSError as error:
            _log_ignored(told or trial, str(error))
        found = [state for state in states if state is not None]
        return max(found, key=lambda state: int(state["run"]["step"]), default=None)

    def discard(self, trial: str, told: str | None = None) -> None:
        """The trial has a result. Raises OSError."""
        self._kept.pop(trial, None)
        discard(self._storage, trial, told)

    def _newest(self, storage: Storage, trial: str, fingerprint: str) -> dict[str, Any] | None:
        """The newest sound state in a storage. If it is our own, it and those before it are pruned as newer come."""
        names = generations(storage, trial)
        for index, name in enumerate(names):
            state = _read(storage, name, fingerprint)
            if state is not None:
                if storage is self._storage:
                    self._kept[trial] = names[index:][::-1]
                return state
        return None


class Cadence:
    """When to save next: every `seconds`, and more rarely where saving is costly. Times are monotonic seconds."""

    def __init__(self, seconds: float, now: float) -> None:
        self._seconds = seconds
        self._next = now + seconds

    def due(self, now: float) -> bool:
        return now >= self._next

    def saved(self, started: float, now: float) -> None:
        self._next = now + max(self._seconds, (now - started) / MOST_COSTLY_SHARE)


def _read(storage: Storage, name: str, fingerprint: str) -> dict[str, Any] | None:
    """A generation's state, None (and a line in the log) when it is not one of this very run."""
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
    except Exception as error:  # noqa: BLE001 - of bytes that someone made, torch raises whatever they lead it to
        _log_ignored(storage.place(name), f"{type(error).__name__}: {error}")
        return None
    if not _is_of(fingerprint, state):
        _log_ignored(storage.place(name), "of another run")
        return None
    return dict(state)


def _is_of(fingerprint: str, state: Any) -> bool:
    """Whether it is a state of this very run, whoever wrote it."""
    if not isinstance(state, dict) or state.get("fingerprint") != fingerprint:
        return False
    run = state.get("run")
    return isinstance(run, dict) and isinstance(run.get("step"), int)


def _log_ignored(place: str, reason: str) -> None:
    log.warning("checkpoint_ignored", path=place, reason=reason)

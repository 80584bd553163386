"""The names of a trial's checkpoints: `<trial>.<steps done>.pt`, one file for each generation."""

from __future__ import annotations

import re

from workers.checkpoints.storage import Storage, split_place, storage_at

KEPT_GENERATIONS = 2
"""If the newest one is torn or corrupt, the one before it is used."""


def name_of(trial: str, step: int) -> str:
    return f"{trial}.{step}.pt"


def step_of(trial: str, name: str) -> int | None:
    """The step of a generation; None if the name is not one of this trial's."""
    match = re.fullmatch(rf"{re.escape(trial)}\.(\d+)\.pt", name)
    return int(match[1]) if match else None


def generations(storage: Storage, trial: str) -> list[str]:
    """The names of a trial's generations, newest first. Raises OSError."""
    steps = {name: step for name in storage.names(f"{trial}.") if (step := step_of(trial, name)) is not None}
    return sorted(steps, key=lambda name: -steps[name])


def previous_storage(storage: Storage, trial: str, checkpoint: str | None) -> Storage | None:
    """The storage in which an earlier attempt saved the trial, if it is not this worker's own.

    `checkpoint`: its location according to the server. Since another worker chose it, it is used only if it has the
    trial's name and the protocol of this worker's storage.
    """
    if checkpoint is None:
        return None
    folder, name = split_place(checkpoint)
    own, _ = split_place(storage.place(name))
    if step_of(trial, name) is None or folder == own or _protocol(folder) != _protocol(own):
        return None
    return storage_at(folder)


def discard(storage: Storage, trial: str, checkpoint: str | None = None) -> None:
    """Delete the checkpoints of a trial that has a result. Raises OSError."""
    previous = previous_storage(storage, trial, checkpoint)
    for place in [storage, *([previous] if previous is not None else [])]:
        for name in generations(place, trial):
            place.delete(name)


def _protocol(folder: str) -> str:
    return folder.partition("://")[0] if "://" in folder else ""

"""A trial's checkpoints by name: `<trial>.<steps done>.pt`, one file for each generation."""

from __future__ import annotations

import re

from workers.checkpoints.storage import Storage, split_place, storage_at

KEPT_GENERATIONS = 2
"""Where the newest one is torn, or no longer what was written, the one before it is used."""


def name_of(trial: str, step: int) -> str:
    return f"{trial}.{step}.pt"


def step_of(trial: str, name: str) -> int | None:
    """The step of a generation; None where the name is none of this trial's."""
    found = re.fullmatch(rf"{re.escape(trial)}\.(\d+)\.pt", name)
    return int(found[1]) if found else None


def generations(storage: Storage, trial: str) -> list[str]:
    """The names of a trial's generations, newest first. Raises OSError."""
    steps = {name: step for name in storage.names(f"{trial}.") if (step := step_of(trial, name)) is not None}
    return sorted(steps, key=lambda name: -steps[name])


def told_storage(storage: Storage, trial: str, told: str | None) -> Storage | None:
    """The storage where an earlier attempt saved the trial, if that is another one.

    `told`: the place, as the server says; believed only when its name is the trial's and its protocol this worker's,
    since it comes from elsewhere.
    """
    if told is None:
        return None
    folder, name = split_place(told)
    own, _ = split_place(storage.place(name))
    if step_of(trial, name) is None or folder == own or _protocol(folder) != _protocol(own):
        return None
    return storage_at(folder)


def discard(storage: Storage, trial: str, told: str | None = None) -> None:
    """The trial has a result: no attempt will ask for its state again. Raises OSError."""
    elsewhere = told_storage(storage, trial, told)
    for place in [storage, *([elsewhere] if elsewhere is not None else [])]:
        for name in generations(place, trial):
            place.delete(name)


def _protocol(folder: str) -> str:
    return folder.partition("://")[0] if "://" in folder else ""

"""Finds tasks of other packages by their entry points. A package is loaded only when its task is needed.

A package declares its tasks in its pyproject.toml

    [project.entry-points."lehr.tasks"]
    "mypkg.wine" = "mypkg.tasks:Wine"

and the worker's operator allows the task by naming it: `lehr worker --tasks mypkg.wine`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from typing import TYPE_CHECKING, Any

from lehr.errors import Fault, InvalidValueError
from lehr.wire.base import TASK_NAME_PATTERN

if TYPE_CHECKING:
    from workers.tasks.task import Task

GROUP = "lehr.tasks"


class InvalidTaskError(InvalidValueError):
    """A task of another package cannot be used."""


def installed() -> Mapping[str, Sequence[EntryPoint]]:
    """The entry points of all installed packages by task name, without names that a study cannot use."""
    entries: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        if re.match(TASK_NAME_PATTERN, entry.name):
            entries.setdefault(entry.name, []).append(entry)
    return entries


def load(name: str, entries: Sequence[EntryPoint]) -> type[Task]:
    """The class of a task with these entry points. Raises InvalidTaskError if it cannot be used."""
    from workers.tasks.task import Task

    values = sorted({entry.value for entry in entries})
    if len(values) > 1:
        raise _refuse(name, "several packages define it", "one package", values)
    (value,) = values
    try:
        task = entries[0].load()
    except Exception as error:  # importing a foreign package may raise anything
        message = f"loading it raises {type(error).__name__}: {error}"
        raise _refuse(name, message, "a class that can be imported", value) from error
    if not (isinstance(task, type) and issubclass(task, Task)):
        raise _refuse(name, "it is not a task", "a subclass of workers.tasks.public.Task", value)
    if isabstract(task):
        missing = ", ".join(sorted(task.__abstractmethods__))
        raise _refuse(name, f"it has no {missing}", "data, build_model and loss", value)
    required = [name for name, field in task.params_model.model_fields.items() if field.is_required()]
    if required:
        bound = "a default for each parameter, so that a study may leave it out"
        raise _refuse(name, "a parameter has no default", bound, required)
    return task


def _refuse(name: str, message: str, bound: str, value: Any) -> InvalidTaskError:
    remedy = f"Correct the entry point {name!r} of the group {GROUP!r} in its package, and install the package again."
    return InvalidTaskError(Fault(f"tasks.{name}", message, bound, value, remedy))

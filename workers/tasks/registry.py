"""Finds tasks by name: the built-in ones, and those of other packages.

A built-in task is a package and one line here; `workers.tasks.installed` finds the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from lehr.errors import Fault, InvalidValueError
from lehr.wire.leases import TaskOffer
from workers.tasks.installed import installed, load

if TYPE_CHECKING:
    from workers.tasks.task import Task

# Named rather than imported, because the command line lists tasks and must not import torch for that.
TASKS: Mapping[str, str] = {
    "digits": "workers.tasks.digits.task:Digits",
    "images": "workers.tasks.images.task:Images",
    "text": "workers.tasks.text.task:Text",
    "tabular": "workers.tasks.tabular.task:Tabular",
}
"""The built-in tasks. No other package can replace one."""


def unknown(names: Iterable[str]) -> list[str]:
    """The names that belong to no installed task. Loads nothing."""
    foreign = [name for name in names if name not in TASKS]
    return [name for name in foreign if name not in installed()] if foreign else []


def find_task(name: str) -> type[Task]:
    """The class of a task. Raises InvalidValueError if it is not installed, InvalidTaskError if it cannot be used.

    Each process finds tasks by name, so that no class has to be sent between processes.
    """
    if name in TASKS:
        module, _, attribute = TASKS[name].partition(":")
        task: type[Task] = getattr(import_module(module), attribute)
        return task
    entries = installed()
    if name not in entries:
        raise InvalidValueError(
            Fault(
                "task.name",
                "this worker has no such task",
                f"one of {', '.join([*TASKS, *entries])}",
                name,
                "Use an installed task, or install its package where the worker runs.",
            )
        )
    return load(name, entries[name])


def offers(names: Iterable[str]) -> list[TaskOffer]:
    """The offers of these tasks for a claim, with the JSON Schemas of their parameters."""
    tasks = {name: find_task(name) for name in names}
    return [
        TaskOffer(
            name=name,
            params_schema=task.params_model.model_json_schema(),
            metrics=list(task.metrics),
            folds=task.supports_folds,
            looks=task.describes_data(),
        )
        for name, task in tasks.items()
    ]

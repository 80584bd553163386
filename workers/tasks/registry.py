"""The tasks that a worker can have: those built in, and those of other packages.

A task that is built in is its package and one line here; `workers.tasks.installed` has the others.
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

# Named rather than imported: the command line lists tasks long before it needs torch.
TASKS: Mapping[str, str] = {
    "digits": "workers.tasks.digits.task:Digits",
    "images": "workers.tasks.images.task:Images",
    "text": "workers.tasks.text.task:Text",
    "tabular": "workers.tasks.tabular.task:Tabular",
}
"""Those built in. No package can take the place of one."""


def unknown(names: Iterable[str]) -> list[str]:
    """The names of these that no installed task has. Loads nothing."""
    foreign = [name for name in names if name not in TASKS]
    return [name for name in foreign if name not in installed()] if foreign else []


def find_task(name: str) -> type[Task]:
    """Raises InvalidValueError for a task that is not installed, InvalidTaskError for one that cannot be used.

    Tasks are found by name, in whichever process trains them: a class need not travel there.
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
                "Name an installed task, or install its package where the worker runs.",
            )
        )
    return load(name, entries[name])


def offers(names: Iterable[str]) -> list[TaskOffer]:
    """What a claim says of these tasks, parameters' JSON Schema included."""
    tasks = {name: find_task(name) for name in names}
    return [
        TaskOffer(
            name=name,
            params_schema=task.params_model.model_json_schema(),
            metrics=list(task.metrics),
            folds=task.supports_folds,
        )
        for name, task in tasks.items()
    ]

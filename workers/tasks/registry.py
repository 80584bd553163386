"""The tasks that can be installed on a worker. A new task is its package and one line here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from lehr.errors import Fault, InvalidValueError
from lehr.wire.leases import TaskOffer

if TYPE_CHECKING:
    from workers.tasks.task import Task

# Named rather than imported: the command line lists tasks long before it needs torch.
TASKS: Mapping[str, str] = {
    "digits": "workers.tasks.digits.task:Digits",
    "images": "workers.tasks.images.task:Images",
    "text": "workers.tasks.text.task:Text",
    "tabular": "workers.tasks.tabular.task:Tabular",
}


def find_task(name: str) -> type[Task]:
    """Raises InvalidValueError for a task that is not installed."""
    if name not in TASKS:
        raise InvalidValueError(
            Fault(
                "task.name",
                "this worker has no such task",
                f"one of {', '.join(TASKS)}",
                name,
                "Name an installed task.",
            )
        )
    module, _, attribute = TASKS[name].partition(":")
    task: type[Task] = getattr(import_module(module), attribute)
    return task


def offers(names: Iterable[str]) -> list[TaskOffer]:
    """What a claim says of these tasks, parameters' JSON Schema included."""
    tasks = [find_task(name) for name in names]
    return [
        TaskOffer(name=task.name, params_schema=task.params_model.model_json_schema(), metrics=list(task.metrics))
        for task in tasks
    ]

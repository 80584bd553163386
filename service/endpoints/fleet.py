"""Calls that list the workers, and the tasks that they can train."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from lehr.wire.fleet import Task, Worker
from lehr.wire.problems import Page
from service.endpoints.parameters import Cursor, Limit
from service.http.pagination import DEFAULT_LIMIT, decode_cursor, fill, page
from service.http.strict_json import StrictRoute
from service.services import Provided

router = APIRouter(prefix="/v1", tags=["fleet"], route_class=StrictRoute)


@router.get("/tasks", response_model=Page[Task])
def list_tasks(services: Provided, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Any:
    """List every task that a worker has offered, with the JSON Schema of its parameters, and its metrics."""
    after_name = decode_cursor(cursor, str)[0] if cursor is not None else ""
    with services.database.read() as transaction:
        tasks = services.fleet.tasks(transaction, after_name, limit + 1)
        read, count = fill(tasks, limit, lambda task: len(task.model_dump_json()))
    return page(read, count, read, "name")


@router.get("/workers", response_model=Page[Worker])
def list_workers(services: Provided, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Any:
    """List every worker that has claimed work."""
    after_id = decode_cursor(cursor, str)[0] if cursor is not None else ""
    with services.database.read() as transaction:
        workers = services.fleet.workers(transaction, after_id, limit + 1)
    return page(workers, limit, workers, "id")

"""Calls on looks at the data of tasks: for users, and for the workers that have the data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Request, Response

from lehr.wire.base import ID_PATTERN, TASK_NAME_PATTERN
from lehr.wire.looks import FINISHED_LOOK_STATES, Look, LookAnswer, LookClaim, LookOrder, LookRequest
from service.http.negotiation import JSON
from service.http.strict_json import StrictRoute
from service.services import Provided, Services

LOOK_AGAIN_SECONDS = 1.0
"""How often a waiting request checks for an answer that another server received."""
CLAIM_AGAIN_SECONDS = 5.0
"""How often a waiting claim checks for looks that another server received. Every worker keeps one claim waiting."""

router = APIRouter(prefix="/v1", tags=["looks at data"], route_class=StrictRoute)

TaskPath = Annotated[str, Path(pattern=TASK_NAME_PATTERN, max_length=200, description="the task's name")]
LookId = Annotated[str, Path(pattern=ID_PATTERN, description="the look's id")]
Found = TypeVar("Found")


@router.post("/tasks/{name}/look", response_model=Look, responses={202: {"model": Look}})
async def look_at_data(name: TaskPath, asked: LookRequest, http: Request, services: Provided) -> Any:
    """Ask a worker that has the data how a task would read it, without training. Waits up to `wait_seconds` for the
    answer; without one, returns 202 with the look, which `Location` returns later.
    """
    look_id = await run_sync(services.looks.request, name, asked.params)
    services.look_signal.notify()

    def finished() -> Look | None:
        look = services.looks.find(look_id)
        return look if look.state in FINISHED_LOOK_STATES else None

    found = await _wait(finished, asked.wait_seconds, LOOK_AGAIN_SECONDS, http=http, services=services)
    look: Look = await run_sync(services.looks.find, look_id) if found is None else found
    headers = {"Location": f"/v1/looks/{look_id}"}
    return Response(look.model_dump_json(), 202 if found is None else 200, media_type=JSON, headers=headers)


@router.get("/looks/{look_id}", response_model=Look)
def get_look(look_id: LookId, services: Provided) -> Any:
    """Return a look; when its `state` is COMPLETED, with `data`. Looks are deleted after ten minutes."""
    return services.looks.find(look_id)


@router.post("/looks/claim", response_model=LookOrder, responses={204: {"description": "no look is waiting"}})
async def claim_look(claim: LookClaim, http: Request, services: Provided) -> Any:
    """For workers: claim a look at the data of one of these tasks; waits up to `wait_seconds` for one."""

    def take() -> LookOrder | None:
        return services.looks.claim(claim.worker, claim.tasks)

    order = await _wait(take, claim.wait_seconds, CLAIM_AGAIN_SECONDS, http=http, services=services)
    return order if order is not None else Response(status_code=204)


@router.post("/looks/{look_id}/answer", response_model=Look)
def answer_look(look_id: LookId, answer: LookAnswer, services: Provided) -> Any:
    """For workers: answer a look with the data, or with the reason why it cannot be read."""
    look = services.looks.answer(look_id, answer)
    services.look_signal.notify()
    return look


async def _wait(
    find: Callable[[], Found | None], seconds: float, again_seconds: float, *, http: Request, services: Services
) -> Found | None:
    """The first result of `find`, or None after this time. Retries when another call changes a look."""
    patience_ends = asyncio.get_running_loop().time() + seconds
    while (found := await run_sync(find)) is None:
        left = patience_ends - asyncio.get_running_loop().time()
        if left <= 0 or services.look_signal.is_closing or await http.is_disconnected():
            return None
        await services.look_signal.wait(min(left, again_seconds))
    return found

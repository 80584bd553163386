"""Looks: descriptions of data on a worker's machine, without training."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lehr.errors import Fault, InvalidValueError
from lehr.wire.base import Id, Request, Response, TaskName, Text
from lehr.wire.data import DataSummary
from lehr.wire.tasks import TaskParams

LookState = Literal["WAITING", "RUNNING", "COMPLETED", "FAILED"]
FINISHED_LOOK_STATES: tuple[LookState, ...] = ("COMPLETED", "FAILED")
MAX_LOOK_WAIT_SECONDS = 30
MAX_CLAIM_WAIT_SECONDS = 60
MAX_LOOK_ERROR_CHARACTERS = 4000


class LookRequest(Request):
    """The body of `POST /v1/tasks/{name}/look`. `wait_seconds`: how long to wait for the answer before 202."""

    params: TaskParams = Field(default_factory=dict)
    wait_seconds: Annotated[float, Field(ge=0, le=MAX_LOOK_WAIT_SECONDS)] = 10


class Look(Response):
    """A look. `data`: how the task reads the data, if COMPLETED. `error`: why it cannot be read, if FAILED."""

    look_id: str
    task: str
    params: dict[str, Any]
    state: LookState
    data: DataSummary | None
    error: str | None
    created_at: datetime


class LookClaim(Request):
    """A worker claims a look at the data of one of these tasks. `wait_seconds`: how long to wait for one before 204."""

    worker: Id
    tasks: Annotated[list[TaskName], Field(min_length=1, max_length=1000)]
    wait_seconds: Annotated[float, Field(ge=0, le=MAX_CLAIM_WAIT_SECONDS)] = 0


class LookOrder(Response):
    """A claimed look."""

    look_id: str
    task: str
    params: dict[str, Any]


class LookAnswer(Request):
    """A worker's answer: `data`, or `error` if the data cannot be read."""

    worker: Id
    data: DataSummary | None = None
    error: Annotated[Text, Field(min_length=1, max_length=MAX_LOOK_ERROR_CHARACTERS)] | None = None

    @model_validator(mode="after")
    def _check(self) -> LookAnswer:
        if (self.data is None) == (self.error is None):
            message, remedy = "a look is answered with exactly one of the two", "Send data or error."
            value = "both" if self.data else "none"
            raise InvalidValueError(Fault("data", message, "data or error", value, remedy))
        return self

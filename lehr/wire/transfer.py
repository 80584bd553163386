"""Transfer on the wire: a study's best schedule, rescaled to another horizon, batch size or width."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lehr.wire.base import Positive, Request, Response, ScheduleDocument

Optimizer = Literal["sgd", "nesterov", "adam", "adamw", "rmsprop"]
BatchRule = Literal["linear", "square_root", "unchanged"]
HorizonRule = Literal["unchanged", "power", "inverse_square_root"]
WidthRule = Literal["standard", "mup", "unchanged"]
Size = Annotated[int, Field(ge=1, le=10**9)]


class TransferOrigin(Request):
    """What the study trained with, where its task's parameters do not say."""

    horizon_steps: Positive | None = None
    batch_size: Size | None = None
    width: Size | None = None


class TransferRequest(Request):
    """Where to: at least one of `horizon_steps`, `batch_size` and `width`.

    `origin` and `optimizer` are needed where the study's task has no parameters `batch_size`, `width` (or `hidden`) and
    `optimizer`. A rule that is null is chosen by the optimizer.
    """

    horizon_steps: Positive | None = None
    batch_size: Size | None = None
    width: Size | None = None
    origin: TransferOrigin = Field(default_factory=TransferOrigin)
    optimizer: Optimizer | None = None
    horizon_rule: HorizonRule | None = None
    batch_rule: BatchRule | None = None
    width_rule: WidthRule | None = None


class Rescaling(Response):
    """One change: every rate is multiplied by `factor`, by a `rule` from a `source`, which `rests_on` something."""

    dimension: Literal["horizon_steps", "batch_size", "width"]
    origin: int
    target: int
    rule: str
    factor: float
    formula: str
    source: str
    rests_on: str


class Transfer(Response):
    """The rescaled schedule. `groups`: for muP, what the rates of each kind of weights are multiplied by instead.

    `cautions`: what else to change, and where the rules reach farther than they were tried.
    """

    study_id: str
    trial: int
    origin: ScheduleDocument
    schedule: ScheduleDocument
    horizon_steps: int
    factor: float
    rescalings: list[Rescaling]
    groups: dict[str, float]
    cautions: list[str]
    code: dict[str, str]

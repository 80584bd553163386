"""Models for rescaling a study's best schedule to another horizon, batch size or width."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lehr.wire.base import Positive, Request, Response, ScheduleDocument, Warning_

Optimizer = Literal["sgd", "nesterov", "adam", "adamw", "rmsprop"]
BatchRule = Literal["linear", "square_root", "unchanged"]
HorizonRule = Literal["unchanged", "power", "inverse_square_root"]
WidthRule = Literal["standard", "mup", "unchanged"]
Size = Annotated[int, Field(ge=1, le=10**9)]


class TransferOrigin(Request):
    """The sizes that the study trained with, needed if its task's parameters do not contain them."""

    horizon_steps: Positive | None = None
    batch_size: Size | None = None
    width: Size | None = None


class TransferRequest(Request):
    """The new sizes: at least one of `horizon_steps`, `batch_size` and `width`.

    `origin` and `optimizer` are required if the study's task has no parameters `batch_size`, `width` (or `hidden`) and
    `optimizer`. If a rule is null, it is chosen for the optimizer.
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
    """One change: all rates are multiplied by `factor`. `rule`, `formula`: how it is computed. `source`: the
    publication. `rests_on`: the evidence for the rule.
    """

    dimension: Literal["horizon_steps", "batch_size", "width"]
    origin: int
    target: int
    rule: str
    factor: float
    formula: str
    source: str
    rests_on: str


class Transfer(Response):
    """The rescaled schedule. `groups`: for muP, the factor for the rates of each kind of weights instead.

    `cautions`: what else to change, and where the rules are applied beyond the range they were tested in.
    `warnings`: the parts that were left out because they failed.
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
    warnings: list[Warning_] = Field(default_factory=list)

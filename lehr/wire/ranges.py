"""Models of learning-rate range tests: the request, the sweeps and the result."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, GetPydanticSchema, model_validator
from pydantic_core import core_schema

from lehr.errors import Fault, InvalidStudyError
from lehr.space import Range
from lehr.wire.base import Name, Request, Response
from lehr.wire.tasks import TaskReference

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

AUTO: Literal["auto"] = "auto"
MAX_RATE = 1e6
LEAST_DECADES = 1.0
"""A narrower sweep shows no valley."""


class RangeSpec(Request):
    """A range of values, both ends inclusive."""

    low: float
    high: float

    def to_range(self) -> Range:
        return Range(self.low, self.high)


def _range_or_auto(_source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
    """A union type whose errors name the range's fields, not the union's members."""
    return core_schema.no_info_wrap_validator_function(
        _read_range,
        handler(RangeSpec),
        serialization=core_schema.plain_serializer_function_ser_schema(
            lambda value: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        ),
        metadata={"pydantic_js_functions": [lambda schema, handle: {"anyOf": [handle(schema), {"const": AUTO}]}]},
    )


def _read_range(value: Any, read: core_schema.ValidatorFunctionWrapHandler) -> Any:
    if value == AUTO:
        return AUTO
    if isinstance(value, str):
        bound, remedy = 'a range {"low": …, "high": …}, or "auto"', 'Set a range, or "auto" for a range test.'
        raise InvalidStudyError(Fault("", "is not a range", bound, value, remedy))
    return read(value)


AutoRange = Annotated[RangeSpec | Literal["auto"], GetPydanticSchema(_range_or_auto)]


class RangeTestSpec(Request):
    """Sweeps of the learning rate: one short training of `steps` steps for each of `seeds` seeds, with the rate rising
    exponentially from `low` to `high`.
    """

    low: Annotated[float, Field(gt=0, le=MAX_RATE)] = 1e-6
    high: Annotated[float, Field(gt=0, le=MAX_RATE)] = 10.0
    steps: Annotated[int, Field(ge=50, le=10_000)] = 200
    seeds: Annotated[int, Field(ge=1, le=20)] = 3

    @model_validator(mode="after")
    def _check(self) -> RangeTestSpec:
        if self.high < self.low * 10**LEAST_DECADES:
            raise InvalidStudyError(
                Fault(
                    "high",
                    "is too close to low for the sweep to show a valley",
                    f">= 10 times low, which is {self.low:g}",
                    self.high,
                    "Sweep several decades; 1e-6 to 10 suits most tasks.",
                )
            )
        return self


class RangeTestRequest(RangeTestSpec):
    """A standalone range test, the body of `POST /v1/range-tests`. It uses only losses: the training loss and the
    held-out loss.
    """

    name: Name = "range test"
    task: TaskReference
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0


class RangePoint(Response):
    """A notable rate: `lr` from all sweeps together, the least and greatest from single sweeps, and the number of
    sweeps (`seeds`) that show it.
    """

    lr: float
    least: float
    greatest: float
    seeds: int


class RangeCurve(Response):
    """The smoothed training loss by rate: of all sweeps together, and the least and greatest of single sweeps."""

    lr: list[float]
    loss: list[float]
    least: list[float]
    greatest: list[float]


class RangeResult(Response):
    """The result of a range test. `bounds`: the range to search; a starting point, not an answer.

    `minimum`: where the smoothed loss is lowest. `steepest`: where it falls fastest, per decade. `valley`: two thirds
    down the longest fall, fastai's rule. `divergence`: where the loss starts to diverge. `held_out_minimum`: where the
    held-out loss is lowest; the bounds depend on it. Each is null if the sweeps do not show it.
    `found`: false if the loss never falls. The bounds are then the defaults in a study, and null in a standalone range
    test and in a study that fails because every sweep failed.
    """

    found: bool
    bounds: RangeSpec | None
    reason: str
    minimum: RangePoint | None = None
    steepest: RangePoint | None = None
    valley: RangePoint | None = None
    divergence: RangePoint | None = None
    held_out_minimum: RangePoint | None = None
    curve: RangeCurve | None = None
    trials: list[int]


class RangeTest(Response):
    """A range test. `state`: as of a study. `sweeps`: the number of sweeps by state. `result`: null until all ended.

    A standalone range test is a study without a search: all operations on studies accept its id.
    """

    range_test_id: str
    name: str
    state: Literal["QUEUED", "RUNNING", "PAUSED", "STOPPING", "CONFIRMING", "COMPLETED", "CANCELLED", "FAILED"]
    reason: str | None
    task: dict[str, Any]
    range_test: RangeTestSpec
    sweeps: dict[str, int]
    result: RangeResult | None
    created_at: datetime
    finished_at: datetime | None

"""Range tests on the wire: what is asked for, and what the sweeps said."""

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
"""A sweep over less shows no valley."""


class RangeSpec(Request):
    """A range of values, both ends included."""

    low: float
    high: float

    def to_range(self) -> Range:
        return Range(self.low, self.high)


def _range_or_auto(_source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
    """A union whose faults name the range's own fields, not the union's members."""
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
        bound, remedy = 'a range {"low": …, "high": …}, or "auto"', 'Give a range, or "auto" for a range test.'
        raise InvalidStudyError(Fault("", "is no range", bound, value, remedy))
    return read(value)


AutoRange = Annotated[RangeSpec | Literal["auto"], GetPydanticSchema(_range_or_auto)]


class RangeTestSpec(Request):
    """Sweeps of the learning rate: on each of `seeds` seeds one short training of `steps` steps, whose rate rises from
    `low` to `high` by an equal factor at each step.
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
                    "the sweep is too short to show a valley",
                    f">= 10 times low, which is {self.low:g}",
                    self.high,
                    "Sweep several decades: 1e-6 to 10 suits nearly everything.",
                )
            )
        return self


class RangeTestRequest(RangeTestSpec):
    """What `POST /v1/range-tests` takes: a range test alone. It looks at losses only: of the training, and of held-out
    examples.
    """

    name: Name = "range test"
    task: TaskReference
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0


class RangePoint(Response):
    """A rate that the sweeps point at: `lr` of all together, the least and the greatest of each alone, and of how many
    sweeps (`seeds`) it is known.
    """

    lr: float
    least: float
    greatest: float
    seeds: int


class RangeCurve(Response):
    """The smoothed training loss by rate: of all sweeps together, and the least and the greatest of each alone."""

    lr: list[float]
    loss: list[float]
    least: list[float]
    greatest: list[float]


class RangeResult(Response):
    """What a range test found. `bounds`: where to search; they are no answer.

    `minimum`: where the smoothed loss is lowest. `steepest`: where it falls fastest, per decade. `valley`: two thirds
    down the longest fall, fastai's rule. `divergence`: from where on it is lost. `held_out_minimum`: where the loss of
    held-out examples is lowest; the bounds hang on it. Null where the sweeps don't show it.
    `found` false: they show no fall. The bounds are then the usual ones in a study that goes on to search, and null in
    a range test alone.
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
    """A range test's document. `state` is a study's; `sweeps` counts them by state; `result`: once all have ended.

    Alone it is a study with no budget for a search: what can be done to studies can be done to it, by its id.
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

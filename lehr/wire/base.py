"""Base classes and types of the wire models: strict types, no unknown fields, no infinities, storable text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetPydanticSchema, StringConstraints
from pydantic_core import core_schema

from lehr.errors import Fault, InvalidValueError
from lehr.schedules import Schedule, schedule_from_dict, schedule_json_schema
from lehr.schedules.parameters import MAX_NAME_CHARACTERS, NAME_PATTERN

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

TASK_NAME_PATTERN = r"^[a-z0-9][a-z0-9._:-]*$"
ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
MAX_INT = 2**53 - 1
"""The largest integer that every JSON parser reads exactly (RFC 8259, section 6)."""
LARGEST_VALUE = 1e100
"""A larger loss counts as diverged, like an infinite one; the square of this bound still fits in a double."""


class Request(BaseModel):
    """Base of what clients send. Unknown fields and inexact types are rejected."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


class Response(BaseModel):
    """Base of what the server sends. Readers ignore unknown fields, so that servers can add new ones."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, frozen=True, defer_build=True)


class Warning_(Response):
    """Something valid but unwise, or a part that was left out: `code` for programs, `message` for people."""

    code: str
    field: str | None = None
    message: str


def _storable(text: str) -> str:
    """Reject text that PostgreSQL cannot store or UTF-8 cannot encode."""
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidValueError(
            Fault(
                "",
                "contains a NUL character or a lone surrogate",
                "Unicode without U+0000 and surrogates",
                ascii(text)[:80],
                "Remove the character.",
            )
        )
    return text


Text = Annotated[str, AfterValidator(_storable)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_storable)]
TaskName = Annotated[str, StringConstraints(pattern=TASK_NAME_PATTERN, max_length=200)]
MetricName = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=MAX_NAME_CHARACTERS)]
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Count = Annotated[int, Field(ge=0, le=MAX_INT)]
Positive = Annotated[int, Field(ge=1, le=MAX_INT)]


def _measurement_schema(_source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
    """A custom error type that the server can attach a remedy to, without a Python call for each number."""
    return core_schema.custom_error_schema(
        handler(_Bounded),
        custom_error_type="measurement",
        custom_error_message="Input should be a number from -{largest} to {largest}",
        custom_error_context={"largest": f"{LARGEST_VALUE:g}"},
    )


_Bounded = Annotated[float, Field(ge=-LARGEST_VALUE, le=LARGEST_VALUE)]
Measurement = Annotated[float, GetPydanticSchema(_measurement_schema)]
"""A measured value; null stands for values that are not finite or beyond LARGEST_VALUE."""


def _parse_schedule(value: Any) -> Schedule:
    return value if isinstance(value, Schedule) else schedule_from_dict(value)


def _schedule_schema(_source: Any, _handler: Any) -> core_schema.CoreSchema:
    return core_schema.no_info_plain_validator_function(
        _parse_schedule,
        # With a name, it appears once among the OpenAPI definitions instead of inline at every use.
        ref="lehr.schedules.Schedule:0",
        serialization=core_schema.plain_serializer_function_ser_schema(lambda schedule: schedule.to_dict()),
        metadata={"pydantic_js_functions": [lambda _schema, _handler: schedule_json_schema()]},
    )


ScheduleDocument = Annotated[Schedule, GetPydanticSchema(_schedule_schema)]

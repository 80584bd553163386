"""Schedules on the wire: which there are, and what they look like."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from lehr.wire.base import Request, Response, ScheduleDocument

MAX_PREVIEW_POINTS = 10_000
MAX_HORIZON_STEPS = 1_000_000_000_000


class Preview(Request):
    schedule: ScheduleDocument
    horizon_steps: Annotated[int, Field(ge=1, le=MAX_HORIZON_STEPS)]
    max_points: Annotated[int, Field(ge=1, le=MAX_PREVIEW_POINTS)] = 1000


class PreviewedSchedule(Response):
    step: list[int]
    lr: list[float]
    momentum: list[float] | None


class Family(Response):
    """A family of schedules. `params_schema` is the JSON Schema of a whole schedule of it."""

    name: str
    summary: str
    formula: str
    source: str
    climbs: bool
    params_schema: dict[str, Any]

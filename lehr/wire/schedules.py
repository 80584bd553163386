"""Schedules on the wire: which there are, what they look like, and their code for other frameworks."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from lehr.errors import Fault, InvalidValueError
from lehr.schedules import Schedule
from lehr.wire.base import Id, Request, Response, ScheduleDocument
from lehr.wire.forecasts import LossForecast
from lehr.wire.horizon import MAX_HORIZON_STEPS, Horizon

__all__ = ["MAX_HORIZON_STEPS", "Horizon"]

MAX_PREVIEW_POINTS = 10_000
MAX_PREVIEW_SCHEDULES = 20


class Preview(Request):
    """Either one `schedule` or several `schedules`. `log_scale` is for pictures: the rate on a log axis.

    `study_id`: a study whose trainings are to forecast the last loss.
    """

    schedule: ScheduleDocument | None = None
    schedules: Annotated[list[ScheduleDocument], Field(min_length=1, max_length=MAX_PREVIEW_SCHEDULES)] | None = None
    horizon_steps: Horizon
    max_points: Annotated[int, Field(ge=1, le=MAX_PREVIEW_POINTS)] = 1000
    log_scale: bool = False
    study_id: Id | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.schedule is None) == (self.schedules is None):
            given = "both" if self.schedule is not None else "neither"
            message, bound = "stands beside schedules, or neither is given", "one of schedule and schedules"
            remedy = "Give schedule for one, or schedules for several."
            raise InvalidValueError(Fault("schedule", message, bound, given, remedy))
        return self

    @property
    def asked(self) -> list[Schedule]:
        """The schedules, however they were given."""
        return [self.schedule] if self.schedule is not None else list(self.schedules or ())


class PreviewedSchedule(Response):
    """Rates at some steps. `momentum` is null where the schedule leaves it alone, `forecast` without a study."""

    step: list[int]
    lr: list[float]
    momentum: list[float] | None
    forecast: LossForecast | None = None


class PreviewedSchedules(Response):
    """Several schedules in the order asked for, each with its rates at the same steps."""

    schedules: list[PreviewedSchedule]


class ExportRequest(Request):
    """`framework`: torch, torch_builtin, optax, …; a wrong one is answered with all of them."""

    schedule: ScheduleDocument
    horizon_steps: Horizon
    framework: Annotated[str, Field(max_length=100)]


class ExportedSchedule(Response):
    """A schedule as a framework reads it.

    `exact`: whether training with it uses the schedule's own rate at every step, up to the precision in which
    the framework computes. `form`: own, the framework's own schedule; formula, lehr's as code; rates, by step.
    """

    framework: str
    code: str
    exact: bool
    form: Literal["own", "formula", "rates"]
    note: str


class Family(Response):
    """A family of schedules. `params_schema` is the JSON Schema of a whole schedule of it.

    `defaults` holds what a parameter left out is. `thumbnail` is a small SVG element in the colour of the text
    around it; it is null for a schedule that only a training's metrics shape.
    """

    name: str
    summary: str
    formula: str
    source: str
    climbs: bool
    params_schema: dict[str, Any]
    defaults: dict[str, Any] = Field(default_factory=dict)
    thumbnail: str | None = None

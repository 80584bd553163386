"""Models of schedule families, previews of their rates, and exports to other frameworks."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from lehr.errors import Fault, InvalidValueError
from lehr.schedules import Schedule
from lehr.wire.base import Id, Request, Response, ScheduleDocument, Warning_
from lehr.wire.forecasts import LossForecast
from lehr.wire.horizon import MAX_HORIZON_STEPS, Horizon

__all__ = ["MAX_HORIZON_STEPS", "Horizon"]

MAX_PREVIEW_POINTS = 10_000
MAX_PREVIEW_SCHEDULES = 20


class Preview(Request):
    """A request to preview one `schedule` or several `schedules`. `log_scale`: use a log axis for the rate in pictures.

    `study_id`: also forecast the final loss from this study's trainings.
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
            message, bound = "and schedules must not both be set or both be missing", "either schedule or schedules"
            remedy = "Set schedule for one schedule, or schedules for several."
            raise InvalidValueError(Fault("schedule", message, bound, given, remedy))
        return self

    @property
    def asked(self) -> list[Schedule]:
        """The schedules to preview, in either form of the request."""
        return [self.schedule] if self.schedule is not None else list(self.schedules or ())


class PreviewedSchedule(Response):
    """Rates at sampled steps. `momentum`: null unless the schedule sets it. `forecast`: null without a study.
    `warnings`: whether the forecast failed.
    """

    step: list[int]
    lr: list[float]
    momentum: list[float] | None
    forecast: LossForecast | None = None
    warnings: list[Warning_] = Field(default_factory=list)


class PreviewedSchedules(Response):
    """Several schedules in the order of the request, with their rates at the same steps."""

    schedules: list[PreviewedSchedule]


class ExportRequest(Request):
    """A request to export a schedule. `framework`: torch, torch_builtin, optax, …; the error for an unknown one lists
    all.
    """

    schedule: ScheduleDocument
    horizon_steps: Horizon
    framework: Annotated[str, Field(max_length=100)]


class ExportedSchedule(Response):
    """A schedule in the form of another framework.

    `exact`: whether it yields the same rate at every step, up to the framework's floating-point precision.
    `form`: `own`, the framework's built-in schedule; `formula`, lehr's formula as code; `rates`, a table by step.
    """

    framework: str
    code: str
    exact: bool
    form: Literal["own", "formula", "rates"]
    note: str


class Family(Response):
    """A family of schedules. `params_schema`: the JSON Schema of a complete schedule of this family.

    `defaults`: the default values of optional parameters. `thumbnail`: a small SVG element in the colour of the
    surrounding text; null for a schedule that depends on the metrics of a training.
    """

    name: str
    summary: str
    formula: str
    source: str
    climbs: bool
    params_schema: dict[str, Any]
    defaults: dict[str, Any] = Field(default_factory=dict)
    thumbnail: str | None = None

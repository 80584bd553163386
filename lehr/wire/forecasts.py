"""Models of forecasts: the predicted final loss of a training, fitted to the study's own trainings."""

from __future__ import annotations

from pydantic import Field

from lehr.wire.base import Request, Response, ScheduleDocument, Warning_
from lehr.wire.horizon import Horizon


class ForecastRequest(Request):
    """A request for a forecast. `schedule` null: the best so far. `horizon_steps` null: the study's horizon."""

    schedule: ScheduleDocument | None = None
    horizon_steps: Horizon | None = None


class Doubt(Response):
    """Why the study has too little data for a forecast: `code` for programs, `message` for people."""

    code: str
    message: str


class LossForecast(Response):
    """The predicted loss at the end of a training, with a 90% interval.

    `curves`: how many trainings the forecast is fitted to; `error`: the root mean square error of forecasts of held-out
    trainings among them. If `doubt` is not null, there is too little data, and `value` and `interval90` are null.
    """

    name: str
    value: float | None
    interval90: tuple[float, float] | None
    curves: int
    error: float | None
    doubt: Doubt | None


class HorizonForecast(Response):
    """The predicted loss of the same schedule over a different number of steps."""

    horizon_steps: int
    value: float
    interval90: tuple[float, float]


class SuggestedSchedule(Response):
    """The schedule in the study's space with the best predicted loss, within the range of rates of good trainings."""

    schedule: ScheduleDocument
    value: float
    interval90: tuple[float, float]


class Forecast(Response):
    """The predicted losses of a schedule. The first of `losses` is the held-out loss if one is reported; `horizons` and
    `suggestion` are about this loss, and `knows_enough` is false if its forecast is in doubt. `warnings`: the parts
    that were left out because they failed.
    """

    study_id: str
    schedule: ScheduleDocument
    horizon_steps: int
    knows_enough: bool
    losses: list[LossForecast]
    horizons: list[HorizonForecast]
    suggestion: SuggestedSchedule | None
    warnings: list[Warning_] = Field(default_factory=list)

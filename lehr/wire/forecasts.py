"""Forecasts on the wire: what a training's last loss will be, as far as the study's own trainings tell."""

from __future__ import annotations

from lehr.wire.base import Request, Response, ScheduleDocument
from lehr.wire.horizon import Horizon


class ForecastRequest(Request):
    """`schedule` None: the best so far. `horizon_steps` None: the study's own."""

    schedule: ScheduleDocument | None = None
    horizon_steps: Horizon | None = None


class Doubt(Response):
    """Why the study knows too little: `code` for programs, `message` for people."""

    code: str
    message: str


class LossForecast(Response):
    """A loss at the end of a training: what is expected, and between what it lies in nine of ten cases.

    `curves`: how many trainings it rests on; `error`: how far off (root mean square) forecasts of them were that did
    not know them. Where `doubt` is not null, the study knows too little, and `value` and `interval90` are null.
    """

    name: str
    value: float | None
    interval90: tuple[float, float] | None
    curves: int
    error: float | None
    doubt: Doubt | None


class HorizonForecast(Response):
    """What the same schedule would come to over another number of steps."""

    horizon_steps: int
    value: float
    interval90: tuple[float, float]


class SuggestedSchedule(Response):
    """The schedule of the study's space that the law expects most of, within the rates that good trainings had."""

    schedule: ScheduleDocument
    value: float
    interval90: tuple[float, float]


class Forecast(Response):
    """What a schedule will come to. The first of `losses` is held-out where one is reported; `horizons` and
    `suggestion` are of it. `knows_enough` is false where its forecast is in doubt.
    """

    study_id: str
    schedule: ScheduleDocument
    horizon_steps: int
    knows_enough: bool
    losses: list[LossForecast]
    horizons: list[HorizonForecast]
    suggestion: SuggestedSchedule | None

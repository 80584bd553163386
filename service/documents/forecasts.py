"""Builds the forecast documents of schedules, running trials and previews."""

from __future__ import annotations

from lehr.errors import ConflictError
from lehr.schedules import Schedule, schedule_from_dict
from lehr.wire import forecasts as wire
from lehr.wire.base import Warning_
from service.documents.best import require_best
from service.forecast.forecast_cache import NOT_MADE, Forecasts, StudyForecasts
from service.forecast.forecaster import LONGEST, Doubt, Forecast, Forecaster
from service.parts import Parts
from service.store.database import Transaction
from service.store.tables import StudyRow, TrialRow

FACTORS = (1 / LONGEST, 0.5, 1.0, 2.0, LONGEST)


def forecast_document(
    transaction: Transaction, study: StudyRow, request: wire.ForecastRequest, forecasts: Forecasts
) -> wire.Forecast:
    """The forecast of a schedule. Raises ConflictError if the best schedule or the horizon is needed and unknown."""
    parts = Parts(study.id)
    with parts.required("the forecast"):
        schedule = request.schedule or schedule_from_dict(require_best(transaction, study).schedule)
        horizon = request.horizon_steps or study.horizon_steps
        if horizon is None:
            raise ConflictError("The study's horizon is not known before its first report; set horizon_steps.")
        found = _known(transaction, study, forecasts, parts)
        losses = [_foreseen(found, name, schedule, horizon, parts) for name in found.known]
        no_horizons: list[wire.HorizonForecast] = []
        return wire.Forecast(
            study_id=study.id,
            schedule=schedule,
            horizon_steps=horizon,
            knows_enough=losses[0].doubt is None,
            losses=losses,
            horizons=parts.get("horizons", lambda: _horizons(found, schedule, horizon), no_horizons),
            suggestion=parts.get("suggestion", lambda: _suggestion(found), None),
            warnings=parts.warnings,
        )


def running_forecast(
    transaction: Transaction, study: StudyRow, trial: TrialRow, forecasts: Forecasts, parts: Parts
) -> wire.LossForecast | None:
    """The forecast of a running trial's final held-out loss; None for a trial that is not running."""
    if trial.state != "RUNNING":
        return None

    def followed() -> wire.LossForecast:
        name, forecast = forecasts.running(transaction, study, trial)
        return loss_document(_known(transaction, study, forecasts, parts), name, forecast)

    return parts.get("forecast", followed, None)


def previewed(
    transaction: Transaction, study: StudyRow, schedules: list[Schedule], horizon: int, forecasts: Forecasts
) -> tuple[list[wire.LossForecast | None], list[Warning_]]:
    """The forecasts of the final held-out loss of each of the schedules, and warnings of what is missing."""
    parts = Parts(study.id)

    def foreseen() -> list[wire.LossForecast | None]:
        found = _known(transaction, study, forecasts, parts)
        return [_foreseen(found, found.held_out, schedule, horizon, parts) for schedule in schedules]

    unknown: list[wire.LossForecast | None] = [None] * len(schedules)
    return parts.get("forecast", foreseen, unknown), parts.warnings


def _known(transaction: Transaction, study: StudyRow, forecasts: Forecasts, parts: Parts) -> StudyForecasts:
    found = forecasts.of(transaction, study)
    parts.missing += found.missing
    return found


def _foreseen(found: StudyForecasts, name: str, schedule: Schedule, horizon: int, parts: Parts) -> wire.LossForecast:
    return parts.get(
        f"losses.{name}",
        lambda: loss_document(found, name, found.foresee(name, schedule, horizon)),
        loss_document(found, name, NOT_MADE),
    )


def loss_document(found: StudyForecasts, name: str, told: Forecast | Doubt) -> wire.LossForecast:
    forecaster = found.known[name]
    return wire.LossForecast(
        name=name,
        value=told.value if isinstance(told, Forecast) else None,
        interval90=(told.low, told.high) if isinstance(told, Forecast) else None,
        curves=forecaster.count if isinstance(forecaster, Forecaster) else 0,
        error=forecaster.error if isinstance(forecaster, Forecaster) else None,
        doubt=wire.Doubt(code=told.code, message=told.message) if isinstance(told, Doubt) else None,
    )


def _horizons(found: StudyForecasts, schedule: Schedule, horizon: int) -> list[wire.HorizonForecast]:
    told = {max(1, round(factor * horizon)): None for factor in FACTORS}
    foreseen = {steps: found.foresee(found.held_out, schedule, steps) for steps in told}
    return [
        wire.HorizonForecast(horizon_steps=steps, value=each.value, interval90=(each.low, each.high))
        for steps, each in foreseen.items()
        if isinstance(each, Forecast)
    ]


def _suggestion(found: StudyForecasts) -> wire.SuggestedSchedule | None:
    if found.suggestion is None:
        return None
    schedule, told = found.suggestion
    return wire.SuggestedSchedule(schedule=schedule, value=told.value, interval90=(told.low, told.high))

"""Forecasts as the wire has them."""

from __future__ import annotations

from lehr.errors import ConflictError
from lehr.schedules import Schedule, schedule_from_dict
from lehr.wire import forecasts as wire
from service.documents.best import best_trial
from service.forecast.forecast_cache import Forecasts, StudyForecasts
from service.forecast.forecaster import LONGEST, Doubt, Forecast, Forecaster
from service.store.database import Transaction
from service.store.tables import StudyRow, TrialRow

FACTORS = (1 / LONGEST, 0.5, 1.0, 2.0, LONGEST)


def forecast_document(
    transaction: Transaction, study: StudyRow, request: wire.ForecastRequest, forecasts: Forecasts
) -> wire.Forecast:
    """Raises ConflictError where the best schedule or the study's horizon is asked for and there is none yet."""
    schedule = request.schedule or _best(transaction, study)
    horizon = request.horizon_steps or study.horizon_steps
    if horizon is None:
        raise ConflictError("The study's horizon is not known before its first report; name horizon_steps.")
    found = forecasts.of(transaction, study)
    losses = [loss_document(found, name, found.foresee(name, schedule, horizon)) for name in found.known]
    return wire.Forecast(
        study_id=study.id,
        schedule=schedule,
        horizon_steps=horizon,
        knows_enough=losses[0].doubt is None,
        losses=losses,
        horizons=_horizons(found, schedule, horizon),
        suggestion=_suggestion(found),
    )


def running_forecast(
    transaction: Transaction, study: StudyRow, trial: TrialRow, forecasts: Forecasts
) -> wire.LossForecast | None:
    """Of a running trial's last held-out loss; None for one that does not run."""
    if trial.state != "RUNNING":
        return None
    name, told = forecasts.running(transaction, study, trial)
    return loss_document(forecasts.of(transaction, study), name, told)


def previewed(
    transaction: Transaction, study: StudyRow, schedules: list[Schedule], horizon: int, forecasts: Forecasts
) -> list[wire.LossForecast]:
    """Of the held-out loss of each of the schedules."""
    found = forecasts.of(transaction, study)
    name = found.held_out
    return [loss_document(found, name, found.foresee(name, schedule, horizon)) for schedule in schedules]


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


def _best(transaction: Transaction, study: StudyRow) -> Schedule:
    best = best_trial(transaction, study)
    if best is None:
        raise ConflictError("No trial of this study has completed yet; name a schedule, or ask again when one has.")
    return schedule_from_dict(best.schedule)

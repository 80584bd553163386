"""Caches studies' fitted laws until another trial completes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property, partial

from sqlalchemy import func, select

from lehr.schedules import Schedule, schedule_from_dict
from lehr.space import Space
from service.forecast.fitted_curves import completed_curves, held_out_loss, loss_curve, rates_of, read_reports
from service.forecast.forecaster import Doubt, Forecast, Forecaster
from service.forecast.suggestion import suggest
from service.parts import Parts
from service.ranges.bounds import searched_space
from service.search.law import LossCurve
from service.store.database import Transaction
from service.store.tables import StudyRow, TrialRow
from service.store.trials import is_searched

CAPACITY = 128
NOT_MADE = Doubt("not_made", "the forecast failed; the server's log has the error")

Stamp = tuple[int, int]


@dataclass(frozen=True)
class StudyForecasts:
    """A study's forecasters by the loss's name, the held-out loss first. `missing`: the parts that failed."""

    space: Space
    known: dict[str, Forecaster | Doubt]
    missing: tuple[str, ...] = ()

    @property
    def held_out(self) -> str:
        return next(iter(self.known))

    def foresee(self, name: str, schedule: Schedule, horizon: int) -> Forecast | Doubt:
        forecaster = self.known[name]
        if isinstance(forecaster, Doubt):
            return forecaster
        if schedule.adaptive:
            return Doubt("adaptive", "the rates of an adaptive schedule are not known before it is trained")
        return forecaster.foresee(*rates_of(schedule, horizon))

    def follow(self, name: str, curve: LossCurve) -> Forecast | Doubt:
        forecaster = self.known[name]
        return forecaster if isinstance(forecaster, Doubt) else forecaster.follow(curve)

    @cached_property
    def suggestion(self) -> tuple[Schedule, Forecast] | None:
        forecaster = self.known[self.held_out]
        if isinstance(forecaster, Doubt) or forecaster.doubt(forecaster.error) is not None:
            return None
        return suggest(forecaster, self.space)


@dataclass
class Forecasts:
    """Forecasts of the most recently requested studies. Workers' reports never call it."""

    _kept: OrderedDict[str, tuple[Stamp, StudyForecasts]] = field(default_factory=OrderedDict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def of(self, transaction: Transaction, study: StudyRow) -> StudyForecasts:
        """The study's forecasts. Fitted again, in less than a second, if trials have completed since the last call."""
        stamp = _stamp(transaction, study)
        with self._guard:
            kept = self._kept.get(study.id)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        parts = Parts(study.id)
        known = _known(transaction, study, parts)
        found = StudyForecasts(searched_space(study).to_space(), known, tuple(parts.missing))
        with self._guard:
            self._kept[study.id] = (stamp, found)
            self._kept.move_to_end(study.id)
            while len(self._kept) > CAPACITY:
                self._kept.popitem(last=False)
        return found

    def running(self, transaction: Transaction, study: StudyRow, trial: TrialRow) -> tuple[str, Forecast | Doubt]:
        """The forecast of a running trial's final held-out loss from its reports so far."""
        forecasts = self.of(transaction, study)
        name, schedule = forecasts.held_out, schedule_from_dict(trial.schedule)
        horizon = trial.horizon_steps or study.horizon_steps or 1
        rows = read_reports(transaction, [trial.id]).get(trial.id, [])
        curve = loss_curve(schedule, horizon, rows, name)
        if curve is None or schedule.adaptive:
            return name, forecasts.foresee(name, schedule, horizon)
        return name, forecasts.follow(name, curve)


def _known(transaction: Transaction, study: StudyRow, parts: Parts) -> dict[str, Forecaster | Doubt]:
    curves, held_out = completed_curves(transaction, study, parts), held_out_loss(study)
    horizon = study.horizon_steps
    if horizon is None:
        none = Doubt("few_curves", "no training has reported yet, so the study's horizon is unknown")
        return dict.fromkeys(curves, none)
    unfitted: Forecaster | Doubt = NOT_MADE
    known = {
        name: parts.get(f"losses.{name}", partial(Forecaster.of, each, horizon), unfitted)
        for name, each in curves.items()
    }
    others = [each for name, each in curves.items() if name != held_out]
    if not curves[held_out] and any(others):
        message = f"no report has {held_out}, and the objective {study.spec.objective.metric} is not a loss"
        known[held_out] = Doubt("no_loss", message)
    return known


def _stamp(transaction: Transaction, study: StudyRow) -> Stamp:
    query = select(func.count(), func.max(TrialRow.revision)).where(is_searched(study.id, "COMPLETED"))
    count, revision = transaction.connection.execute(query).one()
    return count, revision or 0

"""From rows to diagnoses, when somebody asks: nothing of it is stored, and no list pays for it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from lehr.schedules import schedule_from_dict
from lehr.wire.diagnosis import Finding
from lehr.wire.studies import StudyDiagnosis
from lehr.wire.trials import FINISHED_TRIAL_STATES, TrialState
from service.diagnosis.neighbours import Neighbours, Tried, neighbours
from service.diagnosis.results import Result, StudyResults
from service.diagnosis.study import diagnose_study
from service.diagnosis.study_failed import FailedStudy, study_failed
from service.diagnosis.training_curve import TrialCurve
from service.diagnosis.trial import diagnose
from service.documents.best import best_trial, nothing_feasible
from service.documents.curves import reports
from service.parts import Parts
from service.ranges.bounds import searched_space
from service.store.database import Transaction
from service.store.tables import StudyRow, TrialRow
from service.store.trials import CONCLUSIVE_STATES, is_searched

MAX_REPORTS = 2000
"""Longer curves are read in even parts: the rules look at means of a dozen."""
MAX_ERRORS = 100
"""Of failed trainings: a study may have thousands, and few errors."""
MAX_RESULTS = 2000
"""Trials that a diagnosis looks at: the best, and the first, which are spread evenly over the space."""


def trial_diagnosis(transaction: Transaction, study: StudyRow, trial: TrialRow) -> list[Finding] | None:
    """What is wrong with a trial; None until it has ended."""
    if trial.state not in FINISHED_TRIAL_STATES:
        return None
    if trial.state not in ("COMPLETED", "DIVERGED") or trial.purpose == "range_test":
        return []  # a sweep is meant to go wrong at its end
    return _of_trial(transaction, study, trial, _results(transaction, study))


def study_diagnosis(transaction: Transaction, study: StudyRow) -> StudyDiagnosis:
    """What is wrong with a study. What of its search cannot be diagnosed is left out, and logged."""
    failed = [study_failed(_failed_study(transaction, study))] if study.state == "FAILED" else []
    none: list[Finding] = []
    found = Parts(study.id).get("diagnosis", lambda: _search_findings(transaction, study), none)
    return StudyDiagnosis(study_id=study.id, state=study.state, findings=[*failed, *found])


def _failed_study(transaction: Transaction, study: StudyRow) -> FailedStudy:
    trainings = (TrialRow.study_id == study.id) & TrialRow.evaluations.is_(None)
    # A sweep is meant to diverge at its end.
    is_end_of_sweep = (TrialRow.purpose == "range_test") & (TrialRow.state == "DIVERGED")
    counts = select(TrialRow.state, func.count()).where(trainings, ~is_end_of_sweep).group_by(TrialRow.state)
    errors = (
        select(TrialRow.number, TrialRow.error)
        .where(trainings, TrialRow.state == "FAILED")
        .order_by(TrialRow.number)
        .limit(MAX_ERRORS)
    )
    by_state: dict[str, int] = dict(transaction.session.execute(counts).all())
    return FailedStudy(study.reason, by_state, dict(transaction.session.execute(errors).all()))


def _search_findings(transaction: Transaction, study: StudyRow) -> list[Finding]:
    objective = study.spec.objective
    results = _results(transaction, study)
    best = best_trial(transaction, study)
    facts = StudyResults(
        searched_space(study),
        objective.metric,
        objective.direction,
        results,
        _repeats(transaction, study),
        None if best is None or best.point is None or nothing_feasible(study, best) else _result(best),
    )
    of_best: list[Finding] = []
    if best is not None:
        found = _of_trial(transaction, study, best, results)
        of_best = [finding.model_copy(update={"trial": best.number}) for finding in found]
    return diagnose_study(facts, of_best)


def _of_trial(transaction: Transaction, study: StudyRow, trial: TrialRow, results: list[Result]) -> list[Finding]:
    curve = _curve(transaction, study, trial)
    return diagnose(curve, _neighbours(study, trial, results)) if curve is not None else []


def _neighbours(study: StudyRow, trial: TrialRow, results: list[Result]) -> Neighbours:
    own = Tried(schedule_from_dict(trial.schedule).max_lr, trial.value)
    tried = [Tried(one.schedule.max_lr, one.value) for one in results if one.number != trial.number]
    return neighbours(own, tried, study.spec.objective.direction)


def _curve(transaction: Transaction, study: StudyRow, trial: TrialRow) -> TrialCurve | None:
    """The trial's curve; None where it has not reported."""
    found = reports(transaction, trial, MAX_REPORTS)
    rows = found.rows
    if not rows or found.horizon_steps is None:
        return None
    schedule = schedule_from_dict(trial.schedule)
    metric, direction = study.spec.objective.reported
    names = {name for row in rows for name in row.metrics}
    return TrialCurve(
        state=trial.state,
        metric=metric,
        direction=direction,
        horizon_steps=found.horizon_steps,
        max_lr=schedule.max_lr,
        rise_fraction=schedule.rise_fraction,
        steps=[row.step for row in rows],
        rates=[row.lr for row in rows],
        train_loss=[row.train_loss for row in rows],
        metrics={name: [row.metrics.get(name) for row in rows] for name in names},
    )


def _results(transaction: Transaction, study: StudyRow) -> list[Result]:
    falling = study.spec.objective.direction == "maximize"
    best = TrialRow.value.desc() if falling else TrialRow.value.asc()
    chosen = {
        row.number: row
        for order in (TrialRow.number.asc(), best.nulls_last())
        for row in transaction.session.execute(_ended(study, order)).all()
    }
    return [_result(row) for _, row in sorted(chosen.items())]


def _result(row: Any) -> Result:
    value = row.value if row.state == "COMPLETED" else None
    return Result(row.number, row.state, schedule_from_dict(row.schedule), value)


def _ended(study: StudyRow, order: ColumnElement[Any]) -> Select[tuple[int, TrialState, dict[str, Any], float | None]]:
    return (
        select(TrialRow.number, TrialRow.state, TrialRow.schedule, TrialRow.value)
        .where(is_searched(study.id, *CONCLUSIVE_STATES))
        .order_by(order, TrialRow.number)
        .limit(MAX_RESULTS // 2)
    )


def _repeats(transaction: Transaction, study: StudyRow) -> list[list[float]]:
    """The confirmation's values, schedule by schedule."""
    query = select(TrialRow.confirms, TrialRow.value).where(
        TrialRow.study_id == study.id, TrialRow.confirms.is_not(None), TrialRow.state == "COMPLETED"
    )
    groups: dict[int, list[float]] = {}
    for confirms, value in transaction.session.execute(query):
        if confirms is not None and value is not None:
            groups.setdefault(confirms, []).append(value)
    return list(groups.values())

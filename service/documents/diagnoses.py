"""Diagnoses a study or a trial from the database's rows on request. Findings are not stored, and not part of lists."""

from __future__ import annotations

from functools import partial
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
from service.documents.best import best_trial, known_state, nothing_feasible
from service.documents.curves import reports
from service.parts import Parts
from service.ranges.bounds import searched_space
from service.store.database import Transaction
from service.store.tables import StudyRow, TrialRow
from service.store.trials import CONCLUSIVE_STATES, is_searched

MAX_REPORTS = 2000
"""Longer curves are thinned evenly: the rules use the means of a dozen bins."""
MAX_ERRORS = 100
"""How many failed trainings' errors are read: a study may have thousands, with few different errors."""
MAX_RESULTS = 2000
"""How many trials a diagnosis reads: the best, and the first, which are spread evenly over the space."""


def trial_diagnosis(transaction: Transaction, study: StudyRow, trial: TrialRow, parts: Parts) -> list[Finding] | None:
    """The findings about a trial; None until it has ended."""
    if trial.state not in FINISHED_TRIAL_STATES:
        return None
    if trial.state not in ("COMPLETED", "DIVERGED") or trial.purpose == "range_test":
        return []  # a sweep is meant to diverge at its end
    none: list[Finding] = []
    return parts.get(
        "diagnosis", lambda: _of_trial(transaction, study, trial, _results(transaction, study, parts), parts), none
    )


def study_diagnosis(transaction: Transaction, study: StudyRow) -> StudyDiagnosis:
    """The findings about a study."""
    parts = Parts(study.id)
    state, findings = known_state(study, parts), study_findings(transaction, study, parts)
    return StudyDiagnosis(study_id=study.id, state=state, findings=findings, warnings=parts.warnings)


def study_findings(transaction: Transaction, study: StudyRow, parts: Parts) -> list[Finding]:
    """The same, as a part of another document."""
    failed: list[Finding] = []
    if study.state == "FAILED":
        failed = parts.get("diagnosis.study_failed", lambda: [study_failed(_failed_study(transaction, study))], failed)
    none: list[Finding] = []
    return [*failed, *parts.get("diagnosis", lambda: _search_findings(transaction, study, parts), none)]


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


def _search_findings(transaction: Transaction, study: StudyRow, parts: Parts) -> list[Finding]:
    objective = study.spec.objective
    results = _results(transaction, study, parts)
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
        of_best = parts.get("diagnosis.best", lambda: _of_trial(transaction, study, best, results, parts), of_best)
        of_best = [finding.model_copy(update={"trial": best.number}) for finding in of_best]
    return diagnose_study(facts, of_best, parts.get)


def _of_trial(
    transaction: Transaction, study: StudyRow, trial: TrialRow, results: list[Result], parts: Parts
) -> list[Finding]:
    curve = _curve(transaction, study, trial)
    return diagnose(curve, _neighbours(study, trial, results), parts.get) if curve is not None else []


def _neighbours(study: StudyRow, trial: TrialRow, results: list[Result]) -> Neighbours:
    own = Tried(schedule_from_dict(trial.schedule).max_lr, trial.value)
    tried = [Tried(result.schedule.max_lr, result.value) for result in results if result.number != trial.number]
    return neighbours(own, tried, study.spec.objective.direction)


def _curve(transaction: Transaction, study: StudyRow, trial: TrialRow) -> TrialCurve | None:
    """The trial's curve; None if it has not reported."""
    reported = reports(transaction, trial, MAX_REPORTS)
    rows = reported.rows
    if not rows or reported.horizon_steps is None:
        return None
    schedule = schedule_from_dict(trial.schedule)
    metric, direction = study.spec.objective.reported
    names = {name for row in rows for name in row.metrics}
    return TrialCurve(
        state=trial.state,
        metric=metric,
        direction=direction,
        horizon_steps=reported.horizon_steps,
        max_lr=schedule.max_lr,
        rise_fraction=schedule.rise_fraction,
        steps=[row.step for row in rows],
        rates=[row.lr for row in rows],
        train_loss=[row.train_loss for row in rows],
        metrics={name: [row.metrics.get(name) for row in rows] for name in names},
    )


def _results(transaction: Transaction, study: StudyRow, parts: Parts) -> list[Result]:
    falling = study.spec.objective.direction == "maximize"
    best = TrialRow.value.desc() if falling else TrialRow.value.asc()
    chosen = {
        row.number: row
        for order in (TrialRow.number.asc(), best.nulls_last())
        for row in transaction.session.execute(_ended(study, order)).all()
    }
    made = (parts.get("trials", partial(_result, row), None) for _, row in sorted(chosen.items()))
    return [result for result in made if result is not None]


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
    """The values of the confirmation's trials, grouped by schedule."""
    query = select(TrialRow.confirms, TrialRow.value).where(
        TrialRow.study_id == study.id, TrialRow.confirms.is_not(None), TrialRow.state == "COMPLETED"
    )
    groups: dict[int, list[float]] = {}
    for confirms, value in transaction.session.execute(query):
        if confirms is not None and value is not None:
            groups.setdefault(confirms, []).append(value)
    return list(groups.values())

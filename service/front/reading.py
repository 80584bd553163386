"""From rows to the front."""

from __future__ import annotations

from sqlalchemy import select

from lehr.schedules import schedule_from_dict
from lehr.wire.front import Front, FrontTrial
from service.database import Transaction
from service.front.front import pareto_front, steps_to
from service.tables import ReportRow, StudyRow, TrialRow

MAX_TRIALS = 500
"""Trials whose reports are read: the best by value."""


def front_document(transaction: Transaction, study: StudyRow, target: float) -> Front:
    objective = study.spec["objective"]
    order = TrialRow.value.desc() if objective["direction"] == "maximize" else TrialRow.value.asc()
    query = (
        select(TrialRow.id, TrialRow.number, TrialRow.schedule, TrialRow.value)
        .where(TrialRow.study_id == study.id, TrialRow.purpose == "search", TrialRow.state == "COMPLETED")
        .order_by(order, TrialRow.number)
        .limit(MAX_TRIALS)
    )
    trials = transaction.session.execute(query).all()
    reports = _reports(transaction, [row.id for row in trials], objective["metric"])
    reached = [
        FrontTrial(trial=row.number, schedule=schedule_from_dict(row.schedule), value=row.value, steps=steps)
        for row in trials
        if row.value is not None
        and (steps := steps_to(target, reports.get(row.id, []), objective["direction"])) is not None
    ]
    return Front(
        study_id=study.id,
        state=study.state,
        metric=objective["metric"],
        direction=objective["direction"],
        target=target,
        items=pareto_front(reached, objective["direction"]),
        reached=len(reached),
        examined=len(trials),
    )


def _reports(transaction: Transaction, trials: list[str], metric: str) -> dict[str, list[tuple[int, float | None]]]:
    query = (
        select(ReportRow.trial_id, ReportRow.step, ReportRow.metrics)
        .where(ReportRow.trial_id.in_(trials))
        .order_by(ReportRow.trial_id, ReportRow.step)
    )
    found: dict[str, list[tuple[int, float | None]]] = {}
    for trial, step, metrics in transaction.session.execute(query):
        found.setdefault(trial, []).append((step, metrics.get(metric)))
    return found

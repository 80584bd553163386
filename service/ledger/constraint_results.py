"""Determines the value and the constraint violation of completed trials in studies with constraints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from lehr.wire.objectives import ObjectiveSpec
from service.answer.constraints import mean_measured, steps_until, violation
from service.store.database import Transaction
from service.store.tables import ReportRow, StudyRow, TrialRow


def judge(transaction: Transaction, study: StudyRow, trial: TrialRow, value: float | None) -> float | None:
    """Store how much a training that has COMPLETED with `value` violates the constraints; returns its objective value.

    `value`: of the metric that workers measure. Needs the study's lock, and the training's reports stored.
    """
    if not study.spec.objective.constraints or trial.purpose == "range_test" or value is None:
        return value
    objective = study.spec.objective
    reports = _reports(transaction, trial)
    metric, _ = objective.reported
    if objective.counts_steps:
        steps, measured = steps_until(objective.constraints, reports)
        # A training that never reaches the target counts with all its steps.
        value = float(steps or trial.horizon_steps or study.horizon_steps or (reports[-1][0] + 1 if reports else 1))
    else:
        last = {**(reports[-1][1] if reports else {}), metric: value}
        measured = {constraint.metric: last.get(constraint.metric) for constraint in objective.constraints}
    _note(trial, objective, measured)
    return value


def judge_together(study: StudyRow, trial: TrialRow, evaluations: Sequence[TrialRow]) -> None:
    """The same for a search trial whose evaluations have all COMPLETED, by the means of their metrics."""
    objective = study.spec.objective
    if objective.constraints:
        measured = [evaluation.measured or {} for evaluation in evaluations]
        _note(trial, objective, mean_measured(objective.constraints, measured))


def _note(trial: TrialRow, objective: ObjectiveSpec, measured: dict[str, float | None]) -> None:
    trial.measured = measured
    trial.violation = violation(objective.constraints, measured)


def _reports(transaction: Transaction, trial: TrialRow) -> list[tuple[int, dict[str, Any]]]:
    query = select(ReportRow.step, ReportRow.metrics).where(ReportRow.trial_id == trial.id).order_by(ReportRow.step)
    return [(step, metrics) for step, metrics in transaction.session.execute(query)]

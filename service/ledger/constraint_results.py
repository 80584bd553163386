"""What a completed training counts as in a study with constraints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from lehr.wire.objectives import ObjectiveSpec
from service.answer.constraints import mean_measured, steps_until, violation
from service.store.database import Transaction
from service.store.tables import ReportRow, StudyRow, TrialRow


def judge(transaction: Transaction, study: StudyRow, trial: TrialRow, value: float | None) -> float | None:
    """Note how a training that has COMPLETED with `value` keeps to the constraints, and return what its value is.

    `value`: of the metric that workers are asked for. Needs the study's lock, and the training's reports kept.
    """
    if not study.spec.objective.constraints or trial.purpose == "range_test" or value is None:
        return value
    objective = study.spec.objective
    reports = _reports(transaction, trial)
    asked, _ = objective.reported
    if objective.counts_steps:
        steps, measured = steps_until(objective.constraints, reports)
        # One that never gets there has taken all its steps, at least.
        value = float(steps or trial.horizon_steps or study.horizon_steps or (reports[-1][0] + 1 if reports else 1))
    else:
        last = {**(reports[-1][1] if reports else {}), asked: value}
        measured = {one.metric: last.get(one.metric) for one in objective.constraints}
    _note(trial, objective, measured)
    return value


def judge_together(study: StudyRow, trial: TrialRow, evaluations: Sequence[TrialRow]) -> None:
    """The same of a search trial whose evaluations have all COMPLETED: their means keep to the constraints, or not."""
    objective = study.spec.objective
    if objective.constraints:
        _note(trial, objective, mean_measured(objective.constraints, [one.measured or {} for one in evaluations]))


def _note(trial: TrialRow, objective: ObjectiveSpec, measured: dict[str, float | None]) -> None:
    trial.measured = measured
    trial.violation = violation(objective.constraints, measured)


def _reports(transaction: Transaction, trial: TrialRow) -> list[tuple[int, dict[str, Any]]]:
    query = select(ReportRow.step, ReportRow.metrics).where(ReportRow.trial_id == trial.id).order_by(ReportRow.step)
    return [(step, metrics) for step, metrics in transaction.session.execute(query)]

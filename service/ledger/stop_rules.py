"""The budget's stop rules: target value, time, steps, convergence.

Rules are checked under the study's lock, in the transaction that claims or finishes, so that no trial is created after
one that reached a rule. The search then stops as if a user had stopped it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from service.answer.constraints import is_broken
from service.ledger.convergence_stage import reached_convergence
from service.ledger.lifecycle import trainings_each
from service.search.observations import as_loss
from service.store.database import Transaction
from service.store.tables import StudyRow, TrialRow
from service.store.trials import OPEN_TRIAL_STATES, best_completed, count_open

RULES = ("target", "max_seconds", "max_steps", "stop_when")


def has_rules(study: StudyRow) -> bool:
    """Whether anything but the number of trials can end the search."""
    return any(getattr(study.spec.budget, rule) is not None for rule in RULES)


def reason_to_stop(transaction: Transaction, study: StudyRow) -> str | None:
    """The rule that is reached, with its bound and the value that reached it; None if none is. Needs flushed rows."""
    checks: dict[str, Callable[[Transaction, StudyRow, Any], str | None]] = {
        "target": _reached_target,
        "max_seconds": _spent_seconds,
        "max_steps": _spent_steps,
        "stop_when": reached_convergence,
    }
    budget = study.spec.budget
    rules = ((check, bound) for rule, check in checks.items() if (bound := getattr(budget, rule)) is not None)
    return next((reason for check, bound in rules if (reason := check(transaction, study, bound)) is not None), None)


def affordable(transaction: Transaction, study: StudyRow, count: int) -> int:
    """How many of `count` further trials fit into `budget.max_steps`, if all open trials train to their end.

    Until a report has given the horizon, the cost of a trial is unknown, and only one is open at a time. Needs the
    study's lock and flushed rows.
    """
    allowed: int | None = study.spec.budget.max_steps
    if allowed is None or count <= 0:
        return count
    if study.horizon_steps is None:
        return 0 if count_open(transaction, study.id) else 1
    whole = study.horizon_steps * trainings_each(study)
    return max(0, min(count, (allowed - committed_steps(transaction, study)) // whole))


def spent_steps(transaction: Transaction, study: StudyRow) -> int:
    """The optimizer steps that the search's trials have reported so far."""
    return _sum(transaction, study, _done(study))


def committed_steps(transaction: Transaction, study: StudyRow) -> int:
    """The same, if the waiting and running trials train to their end."""
    whole = func.coalesce(TrialRow.horizon_steps, study.horizon_steps, 0)
    return _sum(transaction, study, case((TrialRow.state.in_(OPEN_TRIAL_STATES), whole), else_=_done(study)))


def _done(study: StudyRow) -> ColumnElement[int]:
    """Steps count from 0. A completed training counts with its whole horizon, even if it did not report every step."""
    reported = func.coalesce(TrialRow.step + 1, 0)
    whole = func.coalesce(TrialRow.horizon_steps, study.horizon_steps, reported)
    return case((TrialRow.state == "COMPLETED", whole), else_=reported)


def _sum(transaction: Transaction, study: StudyRow, steps: ColumnElement[int]) -> int:
    query = select(func.coalesce(func.sum(steps), 0)).where(
        TrialRow.study_id == study.id,
        TrialRow.purpose.in_(("search", "evaluation")),
        # A trial with evaluations takes no steps itself.
        TrialRow.evaluations.is_(None),
    )
    return int(transaction.connection.execute(query).scalar_one())


def _reached_target(transaction: Transaction, study: StudyRow, target: float) -> str | None:
    objective = study.spec.objective
    best = best_completed(transaction, study)
    if best is None or best.value is None or is_broken(best.violation):
        return None
    if as_loss(best.value, objective.direction) > as_loss(target, objective.direction):
        return None
    return f"budget.target: {objective.metric} {best.value:g} of trial {best.number} reaches {target:g}"


def _spent_seconds(transaction: Transaction, study: StudyRow, allowed: float) -> str | None:
    if study.started_at is None:
        return None
    spent = (transaction.now - study.started_at).total_seconds()
    return f"budget.max_seconds: {spent:.1f} of {allowed:g} s have passed" if spent >= allowed else None


def _spent_steps(transaction: Transaction, study: StudyRow, allowed: int) -> str | None:
    """Reached once no whole training fits any more, even if the running ones ended now."""
    spent, horizon = spent_steps(transaction, study), study.horizon_steps
    whole = horizon and horizon * trainings_each(study)
    if spent < allowed and (whole is None or spent + whole <= allowed):
        return None
    subject = "a training needs" if whole == horizon else "the trainings of a trial need"
    needed = f", and {subject} {whole}" if spent < allowed else ""
    return f"budget.max_steps: {spent} of {allowed} steps are spent{needed}"

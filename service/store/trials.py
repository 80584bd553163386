"""The queries about trials that several parts of the server share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, case, func, select

from lehr.errors import NotFoundError
from lehr.wire.trials import FINISHED_TRIAL_STATES, TrialState
from service.store.database import Transaction
from service.store.studies import study_exists
from service.store.tables import IS_OPEN, StudyRow, TrialRow

OPEN_TRIAL_STATES: tuple[TrialState, ...] = ("WAITING", "RUNNING")
TRIAL_STATES: tuple[str, ...] = (*OPEN_TRIAL_STATES, *FINISHED_TRIAL_STATES)
CONCLUSIVE_STATES: tuple[TrialState, ...] = ("COMPLETED", "DIVERGED")
"""A trial in one of these states shows how good its schedule is, because nothing else stopped it."""

BROKEN: ColumnElement[Any] = case((TrialRow.violation > 0, TrialRow.violation), else_=0.0)
"""By how much a trial breaks its study's constraints."""

COUNT_OPEN = select(func.count()).where(
    TrialRow.study_id == bindparam("study"),
    IS_OPEN,
    TrialRow.state.in_(bindparam("states", expanding=True)),
    TrialRow.evaluations.is_(None),
)


def is_searched(study_id: str, *states: str) -> ColumnElement[bool]:
    """The condition for trials of the study's search, in one of these states if any are given."""
    of_search = and_(TrialRow.study_id == study_id, TrialRow.purpose == "search")
    return and_(of_search, TrialRow.state.in_(states)) if states else of_search


def best_first(study: StudyRow) -> tuple[ColumnElement[Any], ...]:
    """For ORDER BY: by violation of the constraints, then by value, then by number; without a value last.

    Without constraints, the query can use the index of values.
    """
    objective = study.spec.objective
    value = TrialRow.value.desc() if objective.direction == "maximize" else TrialRow.value.asc()
    if not objective.constraints:
        return value, TrialRow.number.asc()
    return BROKEN.asc(), value, TrialRow.number.asc()


def best_completed(transaction: Transaction, study: StudyRow) -> Row[int, float | None, float | None] | None:
    """Number, value and violation of the best COMPLETED trial of the search. Needs flushed rows."""
    query = (
        select(TrialRow.number, TrialRow.value, TrialRow.violation)
        .where(is_searched(study.id, "COMPLETED"))
        .order_by(*best_first(study))
        .limit(1)
    )
    return transaction.connection.execute(query).first()


def count_by_state(transaction: Transaction, study_ids: Sequence[str], *conditions: Any) -> dict[str, dict[str, int]]:
    """By study, how many of its trials that meet the conditions are in each state."""
    query = (
        select(TrialRow.study_id, TrialRow.state, func.count())
        .where(TrialRow.study_id.in_(study_ids), *conditions)
        .group_by(TrialRow.study_id, TrialRow.state)
    )
    counts: dict[str, dict[str, int]] = {}
    for study_id, state, count in transaction.session.execute(query):
        counts.setdefault(study_id, {})[state] = count
    return counts


def count_open(transaction: Transaction, study_id: str, *states: str) -> int:
    """How many of the study's trainings are WAITING or RUNNING, or in the given state. Needs flushed rows."""
    values = {"study": study_id, "states": states or OPEN_TRIAL_STATES}
    count: int = transaction.connection.execute(COUNT_OPEN, values).scalar_one()
    return count


def open_trials(transaction: Transaction, study_id: str, *states: str) -> list[TrialRow]:
    """The study's trials that are WAITING or RUNNING, or in the given state, by number."""
    query = (
        select(TrialRow)
        .where(TrialRow.study_id == study_id, IS_OPEN, TrialRow.state.in_(states or OPEN_TRIAL_STATES))
        .order_by(TrialRow.number)
    )
    return list(transaction.session.execute(query).scalars())


def find_trial(transaction: Transaction, study_id: str, number: int) -> TrialRow:
    """The trial. Raises NotFoundError."""
    query = select(TrialRow).where(TrialRow.study_id == study_id, TrialRow.number == number)
    trial = transaction.session.execute(query).scalar_one_or_none()
    if trial is None:
        is_known = study_exists(transaction, study_id)
        raise NotFoundError(f"there is no {f'trial {number} in ' if is_known else ''}study {study_id}")
    return trial

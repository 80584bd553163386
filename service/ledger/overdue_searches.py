"""Stops searches that have passed `budget.max_seconds`, even if no worker calls."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from sqlalchemy import select

from service.ledger.failing import contained
from service.ledger.lifecycle import ASKING_STATES
from service.ledger.study_phases import advance
from service.store.database import Database
from service.store.tables import StudyRow

STARTED = select(StudyRow.id, StudyRow.started_at, StudyRow.spec_document.label("spec")).where(
    StudyRow.state == "RUNNING", StudyRow.started_at.is_not(None)
)


def end_overdue(database: Database) -> int:
    """Stop every search that has passed `budget.max_seconds`; returns how many.

    Claims and finishes check the limit too, but a study may get neither. Studies that another call has locked are
    skipped until the next check.
    """
    with database.read() as transaction:
        started = transaction.connection.execute(STARTED).all()
        overdue = [
            row.id for row in started if (transaction.now - row.started_at).total_seconds() >= _allowed(row.spec)
        ]
    what = "the study could not be stopped"
    return sum(bool(contained(database, study_id, what, partial(_end, database, study_id))) for study_id in overdue)


def _allowed(spec: Any) -> float:
    """The search's time limit in seconds; infinite if it has none, or if its row cannot be read."""
    try:
        allowed = spec["budget"].get("max_seconds")
    except (AttributeError, KeyError, TypeError):
        return math.inf
    return allowed if isinstance(allowed, int | float) else math.inf


def _end(database: Database, study_id: str) -> bool:
    with database.write() as transaction:
        study = transaction.lock_study(study_id, skip_locked=True)
        if study is None or study.state not in ASKING_STATES:
            return False
        advance(transaction, study)
        return study.state not in ASKING_STATES

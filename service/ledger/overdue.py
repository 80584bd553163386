"""Where a search is ended whose time is up while nobody claims from it."""

from __future__ import annotations

from sqlalchemy import select

from service.database import Database
from service.ledger.progression import advance
from service.ledger.rules import ASKING_STATES
from service.tables import StudyRow

STARTED = select(
    StudyRow.id, StudyRow.started_at, StudyRow.spec["budget"]["max_seconds"].as_float().label("allowed")
).where(StudyRow.state == "RUNNING", StudyRow.spec["budget"]["max_seconds"].as_float().is_not(None))
"""The searches that have a longest time."""


def end_overdue(database: Database) -> int:
    """Stop every search that has had its `budget.max_seconds`; returns how many. Without it a study of which nobody
    claims or finishes a trial would go on. A study that somebody else works on is left to the next look.
    """
    with database.read() as transaction:
        overdue = [
            row.id
            for row in transaction.connection.execute(STARTED)
            if row.started_at is not None and (transaction.now - row.started_at).total_seconds() >= row.allowed
        ]
    return sum(_end(database, study_id) for study_id in overdue)


def _end(database: Database, study_id: str) -> bool:
    with database.write() as transaction:
        study = transaction.lock_study(study_id, skip_locked=True)
        if study is None or study.state not in ASKING_STATES:
            return False
        advance(transaction, study)
        return study.state not in ASKING_STATES

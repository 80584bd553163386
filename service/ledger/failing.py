"""Contains errors: an unexpected error in one study makes that study FAILED and does not affect the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from lehr.errors import LostLeaseError
from lehr.wire.studies import FINISHED_STUDY_STATES
from service.store.database import Database
from service.store.tables import STUDIES, TRIALS, LeaseRow
from service.store.trials import OPEN_TRIAL_STATES

T = TypeVar("T")

LONGEST_REASON = 1000

log = structlog.get_logger("lehr.ledger")


def contained(database: Database, study_id: str, what: str, call: Callable[[], T]) -> T | None:
    """The call's result. If it raises an error, the study fails and None is returned. Not for use in a transaction.

    `what`: what failed, for the study's reason. Errors of the database are raised again.
    """
    try:
        return call()
    except (SQLAlchemyError, MemoryError):
        raise
    except Exception as error:
        log.error("study_broken", study=study_id, exc_info=error)
        fail_study(database, study_id, reason_of(what, error))
        return None


def contained_lease(database: Database, lease_id: str, what: str, call: Callable[[], T]) -> T:
    """The same for a call on a lease. After the study has failed, the call is repeated, with its trials cancelled."""
    try:
        return call()
    except (LostLeaseError, SQLAlchemyError, MemoryError):
        raise
    except Exception as error:
        with database.read() as transaction:
            query = select(LeaseRow.study_id).where(LeaseRow.id == lease_id)
            study_id = transaction.connection.execute(query).scalar_one()
        log.error("study_broken", study=study_id, lease=lease_id, exc_info=error)
        fail_study(database, study_id, reason_of(what, error))
    return call()


def reason_of(what: str, error: Exception) -> str:
    return f"{what}: {type(error).__name__}: {error}"[:LONGEST_REASON]


def fail_study(database: Database, study_id: str, reason: str) -> None:
    """End the study as FAILED and cancel its open trials. A finished study is left unchanged.

    The statements read no JSON column of the study's row, because such a column may be what is broken.
    """
    locked = select(STUDIES.c.revision, STUDIES.c.state).where(STUDIES.c.id == study_id).with_for_update()
    is_open = (TRIALS.c.study_id == study_id) & TRIALS.c.state.in_(OPEN_TRIAL_STATES)
    with database.write() as transaction:
        study = transaction.connection.execute(locked).one_or_none()
        if study is None or study.state in FINISHED_STUDY_STATES:
            return
        changed = {"revision": study.revision + 1, "finished_at": transaction.now}
        cancelled = {**changed, "state": "CANCELLED", "ended_revision": study.revision + 1, "directive": None}
        transaction.connection.execute(update(TRIALS).where(is_open).values(cancelled))
        failed = {**changed, "state": "FAILED", "reason": reason}
        transaction.connection.execute(update(STUDIES).where(STUDIES.c.id == study_id).values(failed))
    log.info("study_finished", study=study_id, state="FAILED", reason=reason)


def close_lease(database: Database, lease_id: str) -> None:
    """Close a lease whose trials cannot be requeued."""
    with database.write() as transaction:
        transaction.connection.execute(update(LeaseRow).where(LeaseRow.id == lease_id).values(is_open=False))

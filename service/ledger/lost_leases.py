"""Takes back the trials of leases that have expired by the database's clock."""

from __future__ import annotations

import structlog
from sqlalchemy import select

from service.ledger.evaluations import settle_evaluated_trials
from service.ledger.failing import close_lease, contained
from service.ledger.lifecycle import MAX_LOSSES, bump_revision, requeue, settle
from service.ledger.study_phases import advance
from service.store.database import Database, Transaction
from service.store.tables import LeaseRow, StudyRow, TrialRow

SWEEP_BATCH = 200

log = structlog.get_logger("lehr.ledger")


def sweep(database: Database) -> int:
    """Take back the trials of every expired lease; returns how many leases were lost.

    Studies that another call has locked are skipped until the next sweep, so several servers can sweep at once.
    """
    with database.read() as transaction:
        expired = _expired_leases(transaction)
    return sum(_take_back_contained(database, lease_id, study_id) for lease_id, study_id in expired)


def _expired_leases(transaction: Transaction) -> list[tuple[str, str]]:
    query = (
        select(LeaseRow.id, LeaseRow.study_id)
        .where(LeaseRow.is_open, LeaseRow.expires_at < transaction.now)
        .order_by(LeaseRow.expires_at)
        .limit(SWEEP_BATCH)
    )
    return [(row.id, row.study_id) for row in transaction.session.execute(query)]


def _take_back_contained(database: Database, lease_id: str, study_id: str) -> bool:
    """Take back a lease. If that raises an error, the study fails and the lease is closed, and the sweep continues."""
    what = "its lost trials could not be requeued"
    is_lost = contained(database, study_id, what, lambda: _take_back(database, lease_id, study_id))
    if is_lost is None:
        close_lease(database, lease_id)
    return is_lost is not False


def _take_back(database: Database, lease_id: str, study_id: str) -> bool:
    with database.write() as transaction:
        study = transaction.lock_study(study_id, skip_locked=True)
        lease = transaction.session.get(LeaseRow, lease_id)
        # A heartbeat may have come since the expired leases were read, so the expiry is checked again under the lock.
        if study is None or lease is None or not lease.is_open or lease.expires_at >= transaction.now:
            return False
        lose_lease(transaction, study, lease)
        return True


def lose_lease(transaction: Transaction, study: StudyRow, lease: LeaseRow) -> None:
    """Requeue the lease's trials. A trial that has lost too many workers fails. Needs the study's lock."""
    query = select(TrialRow).where(TrialRow.lease_id == lease.id, TrialRow.state == "RUNNING")
    trials = list(transaction.session.execute(query).scalars())
    lease.is_open = False
    for trial in trials:
        trial.losses += 1
        if trial.losses > MAX_LOSSES:
            settle(transaction, study, trial, "FAILED", error=_lost_too_often(trial))
        else:
            requeue(trial)
        log.warning("trial_lost", study=study.id, number=trial.number, attempt=trial.attempt, losses=trial.losses)
    failed = [trial for trial in trials if trial.state == "FAILED"]
    bump_revision(study, *trials, *settle_evaluated_trials(transaction, study, failed))
    advance(transaction, study)


def _lost_too_often(trial: TrialRow) -> str:
    return (
        f"its worker was lost {trial.losses} times (limit: {MAX_LOSSES}), last at step {trial.step}. "
        "Check the workers' logs: the trial may crash its worker's process."
    )

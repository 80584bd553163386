"""The state changes that the ledger's files share: settle a trial, requeue it, close a lease, raise a revision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import bindparam, exists, update

from lehr.wire.trials import FINISHED_TRIAL_STATES, TrialState
from service.store.database import Transaction
from service.store.tables import LEASES, LeaseRow, StudyRow, TrialRow
from service.store.trials import OPEN_TRIAL_STATES

MAX_LOSSES = 3
"""A trial is leased again after this many lost workers. The next loss fails it."""

CLAIMABLE_STATES = ("QUEUED", "RUNNING", "STOPPING", "CONFIRMING")
ASKING_STATES = ("QUEUED", "RUNNING")


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """How long a lease lasts without a heartbeat, and how often workers are asked to send one."""

    lease_seconds: float = 60.0
    beat_seconds: float = 15.0

    @property
    def duration(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)


def bump_revision(study: StudyRow, *trials: TrialRow) -> None:
    """Raise the study's revision, and give it to these trials. Needs the study's lock, and the trials' new states."""
    study.revision += 1
    for trial in trials:
        trial.revision = study.revision
        if trial.state in FINISHED_TRIAL_STATES:
            trial.ended_revision = study.revision


def trainings_each(study: StudyRow) -> int:
    """How many trainings each of the study's search trials has."""
    return study.spec.objective.evaluations


def settle(
    transaction: Transaction,
    study: StudyRow,
    trial: TrialRow,
    state: TrialState,
    *,
    value: float | None = None,
    error: str | None = None,
) -> None:
    """End an open trial with its only result. Needs the study's lock."""
    if trial.state not in OPEN_TRIAL_STATES:
        raise RuntimeError(f"trial {trial.id} is {trial.state} and cannot be settled again")
    trial.state = state
    trial.value = value
    trial.error = error
    trial.directive = None
    trial.finished_at = transaction.now
    if trial.started_at is not None and state != "CANCELLED" and trial.evaluations is None:
        study.trained_seconds += (transaction.now - trial.started_at).total_seconds()


def requeue(trial: TrialRow) -> None:
    """Return a running trial to the queue. It keeps its checkpoint."""
    trial.state = "WAITING"
    trial.lease_id = None
    trial.worker_id = None
    trial.progress = None


CLOSE_IF_EMPTY = (
    update(LEASES)
    .where(
        LeaseRow.id == bindparam("lease"),
        ~exists().where(TrialRow.lease_id == bindparam("lease"), TrialRow.state == "RUNNING"),
    )
    .values(is_open=False)
)


def close_if_empty(transaction: Transaction, lease_id: str) -> None:
    """Close the lease if it no longer holds a trial."""
    transaction.flush()
    transaction.connection.execute(CLOSE_IF_EMPTY, {"lease": lease_id})

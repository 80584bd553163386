"""The fence of every call on a lease: checks which of the named trials the worker still holds.

A call names (trial, attempt) under a lease. It has an effect only while that trial is RUNNING under that lease with
that attempt. Otherwise nothing is recorded.

Heartbeats and reports are by far the most frequent calls, so the fence uses few statements, which are built once and
read only the columns needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import bindparam, select

from lehr.errors import LostLeaseError
from lehr.wire.leases import Directive, LeaseAnswer, TrialAttempt
from lehr.wire.trials import FINISHED_TRIAL_STATES
from service.store.database import Transaction
from service.store.tables import LeaseRow, StudyRow, TrialRow

LOCK_STUDY_OF_LEASE = (
    select(StudyRow.id.label("study_id"), LeaseRow.worker_id, LeaseRow.expires_at)
    .join(LeaseRow, LeaseRow.study_id == StudyRow.id)
    .where(LeaseRow.id == bindparam("lease"))
    .with_for_update(of=StudyRow)
)
"""Take the study's lock, which every write to a study takes first.

PostgreSQL may return the lease as it was before the wait for the lock. That is good enough for the expiry, which only
grows. The trials, which decide, are read afterwards.
"""

READ_TRIALS = select(
    TrialRow.id,
    TrialRow.number,
    TrialRow.state,
    TrialRow.attempt,
    TrialRow.purpose,
    TrialRow.directive,
    TrialRow.acknowledged_until,
    TrialRow.horizon_fraction,
).where(TrialRow.lease_id == bindparam("lease"))
"""The trials that are held, or were finished, under this lease. Lost and released trials are no longer under it."""

Standing = Literal["held", "settled", "cancelled", "lost"]


@dataclass
class FencedLease:
    """A lease under its study's lock, with the standing of each named trial."""

    lease_id: str
    study_id: str
    worker_id: str
    expires_at: datetime
    trials: dict[str, Any] = field(default_factory=dict)
    """Rows of `READ_TRIALS` by trial id, without named trials that are not under this lease."""
    standings: dict[str, Standing] = field(default_factory=dict)
    to_prune: set[str] = field(default_factory=set)

    def held(self) -> list[str]:
        return [trial for trial, standing in self.standings.items() if standing == "held"]

    def holds(self, trial: str) -> bool:
        return self.standings[trial] == "held"

    def answer(self, expires_at: datetime | None = None) -> LeaseAnswer:
        directives = {trial: self._directive(trial) for trial in self.standings}
        return LeaseAnswer(expires_at=expires_at or self.expires_at, trials=directives)

    def _directive(self, trial: str) -> Directive:
        match self.standings[trial]:
            case "held":
                return "prune" if trial in self.to_prune else "continue"
            case "settled":
                return "done"
            case "cancelled":
                return "cancel"
        return "lost"


def fence(transaction: Transaction, lease_id: str, named: Sequence[TrialAttempt]) -> FencedLease:
    """Lock the lease's study and read the standing of each named trial.

    Raises LostLeaseError if none of them is held, settled or cancelled under this lease.
    """
    lease = transaction.connection.execute(LOCK_STUDY_OF_LEASE, {"lease": lease_id}).one_or_none()
    if lease is None:
        raise no_such_lease(lease_id)
    fenced = FencedLease(lease_id, lease.study_id, lease.worker_id, lease.expires_at)
    read_standings(transaction, fenced, named)
    return fenced


def read_standings(transaction: Transaction, fenced: FencedLease, named: Sequence[TrialAttempt]) -> None:
    """Read the standing of each named trial. Needs the study's lock.

    Raises LostLeaseError if none of them is held, settled or cancelled under this lease.
    """
    under_lease = {row.id: row for row in transaction.connection.execute(READ_TRIALS, {"lease": fenced.lease_id})}
    fenced.trials = {entry.trial: under_lease[entry.trial] for entry in named if entry.trial in under_lease}
    fenced.standings = {entry.trial: _standing(fenced.trials.get(entry.trial), entry.attempt) for entry in named}
    if all(standing == "lost" for standing in fenced.standings.values()):
        raise LostLeaseError(f"lease {fenced.lease_id} no longer holds any of these trials; nothing was recorded")
    fenced.to_prune = {trial for trial in fenced.held() if fenced.trials[trial].directive == "prune"}


def no_such_lease(lease_id: str) -> LostLeaseError:
    return LostLeaseError(f"lease {lease_id} holds none of these trials: there is no such lease")


def _standing(row: Any, attempt: int) -> Standing:
    if row is None or row.attempt != attempt:
        return "lost"
    if row.state == "RUNNING":
        return "held"
    if row.state == "CANCELLED" and row.acknowledged_until is None:
        return "cancelled"
    return "settled" if row.state in FINISHED_TRIAL_STATES else "lost"

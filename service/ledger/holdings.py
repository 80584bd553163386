"""Which of the trials that a worker names it still holds: the fence of every call on a lease.

A call speaks for (trial, attempt) under a lease. It is heard only while that trial is RUNNING
under that lease with that attempt; whatever else it may be, nothing is recorded.

Beats and reports are by far the most frequent calls, so the fence is made of a few statements
built once, which read nothing that they don't look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import bindparam, select, update

from lehr.errors import LostLeaseError
from lehr.wire.leases import Directive, LeaseAnswer, TrialAttempt
from service.database import Transaction
from service.ledger.rules import FINISHED_TRIAL_STATES
from service.tables import STUDIES, LeaseRow, StudyRow, TrialRow

LOCK_STUDY_OF_LEASE = (
    select(StudyRow.id.label("study_id"), LeaseRow.worker_id, LeaseRow.expires_at)
    .join(LeaseRow, LeaseRow.study_id == StudyRow.id)
    .where(LeaseRow.id == bindparam("lease"))
    .with_for_update(of=StudyRow)
)
"""Take the lock that everything that writes to the lease's study takes first.

PostgreSQL may tell of the lease what was true before the lock was waited for: good enough for the
expiry, which only ever grows, while what counts, the trials, is read afterwards.
"""

_LEASE = select(LeaseRow).where(LeaseRow.id == bindparam("lease"))

CHANGE_STUDY_OF_LEASE = (
    update(STUDIES)
    .where(STUDIES.c.id == _LEASE.with_only_columns(LeaseRow.study_id).scalar_subquery())
    .values(revision=STUDIES.c.revision + 1)
    .returning(
        STUDIES.c.id.label("study_id"),
        STUDIES.c.revision,
        STUDIES.c.horizon_steps,
        _LEASE.with_only_columns(LeaseRow.worker_id).scalar_subquery().label("worker_id"),
        _LEASE.with_only_columns(LeaseRow.expires_at).scalar_subquery().label("expires_at"),
    )
)
"""The same lock for a call that changes the study: it is given its next revision at once."""

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
"""The trials that are or were held under this lease; one that was lost or given back is there no more."""

Standing = Literal["held", "settled", "cancelled", "lost"]


@dataclass
class Holdings:
    """A lease under its study's lock, and how each named trial stands."""

    lease_id: str
    study_id: str
    worker_id: str
    expires_at: datetime
    revision: int | None
    """The study's new revision, where the call changes it."""
    horizon_steps: int | None
    trials: dict[str, Any]
    """The rows of `READ_TRIALS` by id; a named trial that is not under this lease is missing."""
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


def examine(
    transaction: Transaction, lease_id: str, named: Sequence[TrialAttempt], *, changes: bool = False
) -> Holdings:
    """Lock the lease's study and look at each named trial; `changes`: count a change of the study.

    Raises LostLeaseError when none of them is held, settled or cancelled under this lease.
    """
    connection = transaction.connection
    lock = CHANGE_STUDY_OF_LEASE if changes else LOCK_STUDY_OF_LEASE
    lease = connection.execute(lock, {"lease": lease_id}).one_or_none()
    if lease is None:
        raise LostLeaseError(f"lease {lease_id} holds none of these trials: no such lease is known")
    under_lease = {row.id: row for row in connection.execute(READ_TRIALS, {"lease": lease_id})}
    trials = {entry.trial: under_lease[entry.trial] for entry in named if entry.trial in under_lease}
    holdings = Holdings(
        lease_id,
        lease.study_id,
        lease.worker_id,
        lease.expires_at,
        revision=lease.revision if changes else None,
        horizon_steps=lease.horizon_steps if changes else None,
        trials=trials,
    )
    for entry in named:
        holdings.standings[entry.trial] = _standing(trials.get(entry.trial), entry.attempt)
    if all(standing == "lost" for standing in holdings.standings.values()):
        raise LostLeaseError(f"lease {lease_id} holds none of these trials any more; nothing was recorded")
    holdings.to_prune = {trial for trial in holdings.held() if trials[trial].directive == "prune"}
    return holdings


def _standing(row: Any, attempt: int) -> Standing:
    if row is None or row.attempt != attempt:
        return "lost"
    if row.state == "RUNNING":
        return "held"
    if row.state == "CANCELLED" and row.acknowledged_until is None:
        return "cancelled"
    return "settled" if row.state in FINISHED_TRIAL_STATES else "lost"

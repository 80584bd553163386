"""Which of the trials that a worker names it still holds: the fence of every call on a lease.

A call speaks for (trial, attempt) under a lease. It is heard only while that trial is RUNNING
under that lease with that attempt; whatever else it may be, nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from sqlalchemy import select

from lehr.errors import LostLeaseError
from lehr.wire.leases import Directive, LeaseAnswer, TrialAttempt
from service.database import Transaction
from service.ledger.rules import FINISHED_TRIAL_STATES
from service.tables import LeaseRow, StudyRow, TrialRow

Standing = Literal["held", "settled", "cancelled", "lost"]


@dataclass
class Holdings:
    """A lease's study and lease row, and how each named trial stands."""

    study: StudyRow
    lease: LeaseRow
    rows: dict[str, TrialRow]
    standings: dict[str, Standing] = field(default_factory=dict)

    def held(self) -> list[TrialRow]:
        return [row for trial, row in self.rows.items() if self.standings[trial] == "held"]

    def holds(self, trial: str) -> bool:
        return self.standings[trial] == "held"

    def directives(self) -> dict[str, Directive]:
        return {trial: self._directive(trial) for trial in self.standings}

    def _directive(self, trial: str) -> Directive:
        match self.standings[trial]:
            case "held":
                row = self.rows[trial]
                return "prune" if row.directive == "prune" else "continue"
            case "settled":
                return "done"
            case "cancelled":
                return "cancel"
        return "lost"

    def answer(self, expires_at: datetime | None = None) -> LeaseAnswer:
        return LeaseAnswer(expires_at=expires_at or self.lease.expires_at, trials=self.directives())


def examine(transaction: Transaction, lease_id: str, named: Sequence[TrialAttempt]) -> Holdings:
    """Lock the lease's study and look at each named trial.

    Raises LostLeaseError when none of them is held, settled or cancelled under this lease.
    """
    found = transaction.session.get(LeaseRow, lease_id)
    study = transaction.lock_study(found.study_id) if found is not None else None
    if found is None or study is None:
        raise LostLeaseError(f"lease {lease_id} holds none of these trials: no such lease is known")
    # Read again under the lock: a sweep may have closed it in between.
    transaction.session.refresh(found)
    query = select(TrialRow).where(TrialRow.id.in_([entry.trial for entry in named]), TrialRow.study_id == study.id)
    rows = {row.id: row for row in transaction.session.execute(query).scalars()}
    holdings = Holdings(study, found, rows)
    for entry in named:
        holdings.standings[entry.trial] = _standing(rows.get(entry.trial), lease_id, entry.attempt)
    if all(standing == "lost" for standing in holdings.standings.values()):
        raise LostLeaseError(f"lease {lease_id} holds none of these trials any more; nothing was recorded")
    return holdings


def _standing(row: TrialRow | None, lease_id: str, attempt: int) -> Standing:
    if row is None or row.lease_id != lease_id or row.attempt != attempt:
        return "lost"
    if row.state == "RUNNING":
        return "held"
    if row.state == "CANCELLED" and row.acknowledged_until is None:
        return "cancelled"
    return "settled" if row.state in FINISHED_TRIAL_STATES else "lost"

"""How trials go, as their workers tell: kept with the trial, the last word alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, update

from lehr.wire.leases import TrialAttempt
from lehr.wire.training import TrainingProgress
from service.ledger.fence import FencedLease
from service.store.database import Transaction
from service.store.tables import TRIALS

NOTE_PROGRESS = update(TRIALS).where(TRIALS.c.id == bindparam("trial")).values(progress=bindparam("told"))
"""No new revision: whoever follows a study is not woken for it."""


def note_progress(transaction: Transaction, fenced: FencedLease, entries: Sequence[TrialAttempt]) -> None:
    """Keep what was told of the trials that are held. Nothing told, and nothing is asked of the database."""
    told = [
        {"trial": entry.trial, "told": progress_document(entry.progress, transaction.now)}
        for entry in entries
        if entry.progress is not None and fenced.holds(entry.trial)
    ]
    if told:
        transaction.connection.execute(NOTE_PROGRESS, told)


def progress_document(progress: TrainingProgress, now: datetime) -> dict[str, Any]:
    return {**progress.model_dump(), "at": now.isoformat()}

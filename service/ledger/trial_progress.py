"""Stores the latest progress that workers report of their trials."""

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

NOTE_PROGRESS = update(TRIALS).where(TRIALS.c.id == bindparam("trial")).values(progress=bindparam("latest"))
"""Does not raise the revision, so that it does not wake clients that follow the study."""


def note_progress(transaction: Transaction, fenced: FencedLease, entries: Sequence[TrialAttempt]) -> None:
    """Store the progress of the trials that are held. Runs no query if no entry has progress."""
    rows = [
        {"trial": entry.trial, "latest": progress_document(entry.progress, transaction.now)}
        for entry in entries
        if entry.progress is not None and fenced.holds(entry.trial)
    ]
    if rows:
        transaction.connection.execute(NOTE_PROGRESS, rows)


def progress_document(progress: TrainingProgress, now: datetime) -> dict[str, Any]:
    return {**progress.model_dump(), "at": now.isoformat()}

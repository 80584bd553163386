"""Stores the description of a study's data, which the first worker to read it reports, with its doubts as warnings."""

from __future__ import annotations

from collections.abc import Sequence

from lehr.wire.base import Warning_
from lehr.wire.leases import TrialReports
from service.ledger.fence import FencedLease
from service.ledger.lifecycle import bump_revision
from service.store.database import Transaction


def note_data(transaction: Transaction, fenced: FencedLease, entries: Sequence[TrialReports]) -> None:
    """Store the first description of the data. Later ones are ignored: all trials of a study have the same data."""
    data = next((entry.data for entry in entries if entry.data is not None and fenced.holds(entry.trial)), None)
    if data is None:
        return
    study = transaction.known_study(fenced.study_id)
    if study.data is not None:
        return
    study.data = data.model_dump(mode="json")
    warnings = [Warning_(code="data_doubtful", field="task.params", message=doubt) for doubt in data.doubts]
    study.warnings = [*study.warnings, *(warning.model_dump(mode="json") for warning in warnings)]
    bump_revision(study)

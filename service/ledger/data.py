"""What a study's data is, as the first worker to read it tells: kept with the study, its doubts as warnings."""

from __future__ import annotations

from collections.abc import Sequence

from lehr.wire.leases import TrialReports
from lehr.wire.studies import Warning_
from service.ledger.fence import FencedLease
from service.ledger.lifecycle import bump_revision
from service.store.database import Transaction


def note_data(transaction: Transaction, fenced: FencedLease, entries: Sequence[TrialReports]) -> None:
    """The first word counts: every trial of a study has the same data."""
    told = next((one.data for one in entries if one.data is not None and fenced.holds(one.trial)), None)
    if told is None:
        return
    study = transaction.known_study(fenced.study_id)
    if study.data is not None:
        return
    study.data = told.model_dump(mode="json")
    doubts = [Warning_(code="data_doubtful", field="task.params", message=doubt) for doubt in told.doubts]
    study.warnings = [*study.warnings, *(doubt.model_dump(mode="json") for doubt in doubts)]
    bump_revision(study)

"""The calls of a worker that holds a lease: renew (the heartbeat), report, release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import bindparam, update

from lehr.wire.leases import LeaseAnswer, Renewal, ReportBatch, TrialReports
from service.fleet import note_beat
from service.ledger.data import note_data
from service.ledger.fence import FencedLease, fence
from service.ledger.lifecycle import LeaseTerms, bump_revision, close_if_empty, requeue
from service.ledger.report_ingestion import WORTH_EXTENDING, Ingested, ingest_reports
from service.ledger.study_phases import advance
from service.ledger.trial_progress import note_progress
from service.parts import Parts
from service.search.searcher_cache import SearcherCache
from service.store.database import Database, Transaction
from service.store.tables import LEASES, STUDIES, LeaseRow

NOTE_HORIZON = (
    update(STUDIES)
    .where(STUDIES.c.id == bindparam("study"), STUDIES.c.horizon_steps.is_(None))
    .values(horizon_steps=bindparam("horizon"))
)
EXTEND_LEASE = update(LEASES).where(LeaseRow.id == bindparam("lease")).values(expires_at=bindparam("until"))

log = structlog.get_logger("lehr.ledger")


@dataclass(frozen=True)
class Heartbeats:
    """Handles the worker protocol's renew, report and release calls."""

    database: Database
    searches: SearcherCache
    terms: LeaseTerms

    def renew(self, lease_id: str, renewal: Renewal) -> LeaseAnswer:
        """Extend the lease. Raises LostLeaseError if every named trial is lost."""
        with self.database.write() as transaction:
            fenced = fence(transaction, lease_id, renewal.trials)
            self._extend(transaction, fenced)
            note_progress(transaction, fenced, renewal.trials)
            note_beat(transaction, fenced.worker_id)
            return fenced.answer()

    def report(self, lease_id: str, batch: ReportBatch) -> LeaseAnswer:
        """Store the reports of the trials that are held, and answer with a directive for each.

        A report is also a heartbeat. Raises LostLeaseError if every named trial is lost.
        """
        ingested = ingest_reports(self.database, lease_id, batch.trials, self.terms)
        if (
            ingested is not None
            and len(ingested.trials) == len(batch.trials)
            and not self._has_more_to_do(ingested, batch)
        ):
            return ingested.answer()
        # The reports are committed by now. If the rest fails, the worker repeats the call, which is harmless.
        with self.database.write() as transaction:
            fenced = fence(transaction, lease_id, batch.trials)
            note_horizon(transaction, fenced, batch.trials)
            note_progress(transaction, fenced, batch.trials)
            note_data(transaction, fenced, batch.trials)
            self._prune(transaction, fenced)
            return fenced.answer()

    def release(self, lease_id: str, renewal: Renewal) -> LeaseAnswer:
        """Requeue what a draining worker has not finished. This does not count as a lost worker.

        The answer for released trials is `done`. Raises LostLeaseError if every named trial is lost.
        """
        with self.database.write() as transaction:
            fenced = fence(transaction, lease_id, renewal.trials)
            study = transaction.known_study(fenced.study_id)
            released = transaction.trials(fenced.held())
            for trial in released:
                requeue(trial)
                fenced.standings[trial.id] = "settled"
                log.info("trial_released", study=study.id, number=trial.number, attempt=trial.attempt)
            bump_revision(study, *released)
            close_if_empty(transaction, lease_id)
            advance(transaction, study)
            return fenced.answer()

    def _extend(self, transaction: Transaction, fenced: FencedLease) -> None:
        until = transaction.now + self.terms.duration
        if fenced.held() and until - fenced.expires_at > self.terms.duration / WORTH_EXTENDING:
            transaction.connection.execute(EXTEND_LEASE, {"lease": fenced.lease_id, "until": until})
            fenced.expires_at = until

    def _has_more_to_do(self, ingested: Ingested, batch: ReportBatch) -> bool:
        """Whether the batch has progress or data to store, gives the study's horizon, or has trials to prune."""
        has_progress = any(entry.progress is not None for entry in batch.trials)
        gives_horizon = ingested.horizon_steps is None and any(
            trial.horizon_fraction == 1.0 for trial in ingested.trials
        )
        is_prunable = any(trial.purpose == "search" and trial.directive is None for trial in ingested.trials)
        has_data = any(entry.data is not None for entry in batch.trials)
        if has_progress or gives_horizon or has_data:
            return True
        return is_prunable and self.searches.may_prune(ingested.study_id)

    def _prune(self, transaction: Transaction, fenced: FencedLease) -> None:
        """Ask the study's pruner, if it has one, which trials to stop. A pruner that raises an error stops none."""
        candidates = [
            trial
            for trial in fenced.held()
            if fenced.trials[trial].purpose == "search" and trial not in fenced.to_prune
        ]
        parts, study_id = Parts(fenced.study_id), fenced.study_id
        if not candidates or not parts.get("pruner", lambda: self.searches.prunes(transaction, study_id), False):
            return
        study = transaction.known_study(study_id)
        for trial in transaction.trials(candidates):
            if parts.get("pruning", partial(self.searches.should_prune, transaction, study, trial), False):
                trial.directive = "prune"
                fenced.to_prune.add(trial.id)
                log.info("trial_pruned", study=study.id, number=trial.number, step=trial.step)


def note_horizon(transaction: Transaction, fenced: FencedLease, entries: Sequence[TrialReports]) -> None:
    """Store the study's horizon in steps, from the first trial that trains over the whole horizon."""
    held = [entry for entry in entries if fenced.holds(entry.trial)]
    horizons = [entry.horizon_steps for entry in held if fenced.trials[entry.trial].horizon_fraction == 1.0]
    if horizons:
        transaction.connection.execute(NOTE_HORIZON, {"study": fenced.study_id, "horizon": horizons[0]})

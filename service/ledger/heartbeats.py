"""What a worker says about its lease while it trains: renew, report, release."""

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
from service.search.searcher_cache import Searches
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
class Beats:
    database: Database
    searches: Searches
    terms: LeaseTerms

    def renew(self, lease_id: str, renewal: Renewal) -> LeaseAnswer:
        """Raises LostLeaseError when every trial named is lost."""
        with self.database.write() as transaction:
            fenced = fence(transaction, lease_id, renewal.trials)
            self._extend(transaction, fenced)
            note_progress(transaction, fenced, renewal.trials)
            note_beat(transaction, fenced.worker_id)
            return fenced.answer()

    def report(self, lease_id: str, batch: ReportBatch) -> LeaseAnswer:
        """Keep the reports of the trials that are held, and say what each is to do next.

        A report is a beat, too. Raises LostLeaseError when every trial named is lost.
        """
        ingested = ingest_reports(self.database, lease_id, batch.trials, self.terms)
        if (
            ingested is not None
            and len(ingested.trials) == len(batch.trials)
            and not self._has_more_to_do(ingested, batch)
        ):
            return ingested.answer()
        # What was ingested is kept by now. Should the rest fail, the worker repeats itself, which changes nothing.
        with self.database.write() as transaction:
            fenced = fence(transaction, lease_id, batch.trials)
            note_horizon(transaction, fenced, batch.trials)
            note_progress(transaction, fenced, batch.trials)
            note_data(transaction, fenced, batch.trials)
            self._judge(transaction, fenced)
            return fenced.answer()

    def release(self, lease_id: str, renewal: Renewal) -> LeaseAnswer:
        """Take back what a draining worker has not finished. It is no loss of a worker.

        The trials released answer `done`. Raises LostLeaseError when every trial named is lost.
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
        """Whether a trial tells how it goes, is the first to tell its study's horizon, or may have to be judged."""
        tells_progress = any(entry.progress is not None for entry in batch.trials)
        tells_horizon = ingested.horizon_steps is None and any(
            trial.horizon_fraction == 1.0 for trial in ingested.trials
        )
        judged = any(trial.purpose == "search" and trial.directive is None for trial in ingested.trials)
        tells_data = any(entry.data is not None for entry in batch.trials)
        return tells_progress or tells_horizon or tells_data or (judged and self.searches.may_prune(ingested.study_id))

    def _judge(self, transaction: Transaction, fenced: FencedLease) -> None:
        """Ask the search, where it has a pruner, which of the trials it gives up on: none where it cannot tell."""
        judged = [
            trial
            for trial in fenced.held()
            if fenced.trials[trial].purpose == "search" and trial not in fenced.to_prune
        ]
        parts, study_id = Parts(fenced.study_id), fenced.study_id
        if not judged or not parts.get("pruner", lambda: self.searches.prunes(transaction, study_id), False):
            return
        study = transaction.known_study(study_id)
        for trial in transaction.trials(judged):
            if parts.get("pruning", partial(self.searches.should_prune, transaction, study, trial), False):
                trial.directive = "prune"
                fenced.to_prune.add(trial.id)
                log.info("trial_pruned", study=study.id, number=trial.number, step=trial.step)


def note_horizon(transaction: Transaction, fenced: FencedLease, entries: Sequence[TrialReports]) -> None:
    """The first trial over the whole horizon tells the study how long that is."""
    ingested = [entry for entry in entries if fenced.holds(entry.trial)]
    whole = [entry.horizon_steps for entry in ingested if fenced.trials[entry.trial].horizon_fraction == 1.0]
    if whole:
        transaction.connection.execute(NOTE_HORIZON, {"study": fenced.study_id, "horizon": whole[0]})

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
from service.ledger.fence import Holdings, examine
from service.ledger.lifecycle import LeaseTerms, close_if_empty, requeue, touch
from service.ledger.report_ingestion import WORTH_EXTENDING, Heard, hear
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
            holdings = examine(transaction, lease_id, renewal.trials)
            self._extend(transaction, holdings)
            note_progress(transaction, holdings, renewal.trials)
            note_beat(transaction, holdings.worker_id)
            return holdings.answer()

    def report(self, lease_id: str, batch: ReportBatch) -> LeaseAnswer:
        """Keep the reports of the trials that are held, and say what each is to do next.

        A report is a beat, too. Raises LostLeaseError when every trial named is lost.
        """
        heard = hear(self.database, lease_id, batch.trials, self.terms)
        if heard is not None and len(heard.trials) == len(batch.trials) and not self._has_more_to_do(heard, batch):
            return heard.answer()
        # What was heard is kept by now. Should the rest fail, the worker repeats itself, which changes nothing.
        with self.database.write() as transaction:
            holdings = examine(transaction, lease_id, batch.trials)
            note_horizon(transaction, holdings, batch.trials)
            note_progress(transaction, holdings, batch.trials)
            note_data(transaction, holdings, batch.trials)
            self._judge(transaction, holdings)
            return holdings.answer()

    def release(self, lease_id: str, renewal: Renewal) -> LeaseAnswer:
        """Take back what a draining worker has not finished. It is no loss of a worker.

        The trials released answer `done`. Raises LostLeaseError when every trial named is lost.
        """
        with self.database.write() as transaction:
            holdings = examine(transaction, lease_id, renewal.trials)
            study = transaction.known_study(holdings.study_id)
            released = transaction.trials(holdings.held())
            for trial in released:
                requeue(trial)
                holdings.standings[trial.id] = "settled"
                log.info("trial_released", study=study.id, number=trial.number, attempt=trial.attempt)
            touch(study, *released)
            close_if_empty(transaction, lease_id)
            advance(transaction, study)
            return holdings.answer()

    def _extend(self, transaction: Transaction, holdings: Holdings) -> None:
        until = transaction.now + self.terms.duration
        if holdings.held() and until - holdings.expires_at > self.terms.duration / WORTH_EXTENDING:
            transaction.connection.execute(EXTEND_LEASE, {"lease": holdings.lease_id, "until": until})
            holdings.expires_at = until

    def _has_more_to_do(self, heard: Heard, batch: ReportBatch) -> bool:
        """Whether a trial tells how it goes, is the first to tell its study's horizon, or may have to be judged."""
        tells_progress = any(entry.progress is not None for entry in batch.trials)
        tells_horizon = heard.horizon_steps is None and any(trial.horizon_fraction == 1.0 for trial in heard.trials)
        judged = any(trial.purpose == "search" and trial.directive is None for trial in heard.trials)
        tells_data = any(entry.data is not None for entry in batch.trials)
        return tells_progress or tells_horizon or tells_data or (judged and self.searches.may_prune(heard.study_id))

    def _judge(self, transaction: Transaction, holdings: Holdings) -> None:
        """Ask the search, where it has a pruner, which of the trials it gives up on: none where it cannot tell."""
        judged = [
            trial
            for trial in holdings.held()
            if holdings.trials[trial].purpose == "search" and trial not in holdings.to_prune
        ]
        parts, study_id = Parts(holdings.study_id), holdings.study_id
        if not judged or not parts.get("pruner", lambda: self.searches.prunes(transaction, study_id), False):
            return
        study = transaction.known_study(study_id)
        for trial in transaction.trials(judged):
            if parts.get("pruning", partial(self.searches.should_prune, transaction, study, trial), False):
                trial.directive = "prune"
                holdings.to_prune.add(trial.id)
                log.info("trial_pruned", study=study.id, number=trial.number, step=trial.step)


def note_horizon(transaction: Transaction, holdings: Holdings, entries: Sequence[TrialReports]) -> None:
    """The first trial over the whole horizon tells the study how long that is."""
    heard = [entry for entry in entries if holdings.holds(entry.trial)]
    whole = [entry.horizon_steps for entry in heard if holdings.trials[entry.trial].horizon_fraction == 1.0]
    if whole:
        transaction.connection.execute(NOTE_HORIZON, {"study": holdings.study_id, "horizon": whole[0]})

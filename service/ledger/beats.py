"""What a worker says about its lease while it trains: renew, report, release."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from lehr.wire.leases import LeaseAnswer, Renewal, ReportBatch, TrialReports
from service.database import Database, Transaction
from service.fleet import note_beat
from service.ledger.holdings import Holdings, examine
from service.ledger.progression import advance
from service.ledger.rules import LeaseTerms, close_if_empty, requeue, touch
from service.search.warmth import Searches
from service.tables import ReportRow, StudyRow, TrialRow

INSERT_ROWS = 2000
"""Rows to an INSERT: 7 values each stay below SQLite's 32,766 and PostgreSQL's 65,535 parameters."""

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
            note_beat(transaction, holdings.lease.worker_id)
            return holdings.answer()

    def report(self, lease_id: str, batch: ReportBatch) -> LeaseAnswer:
        """Keep the reports of the trials that are held, and say what each is to do next.

        A report is a beat, too. Raises LostLeaseError when every trial named is lost.
        """
        with self.database.write() as transaction:
            holdings = examine(transaction, lease_id, batch.trials)
            self._extend(transaction, holdings)
            heard = [entry for entry in batch.trials if holdings.holds(entry.trial)]
            keep_reports(transaction, heard)
            for entry in heard:
                _note_progress(holdings.study, holdings.rows[entry.trial], entry)
            touch(holdings.study, *holdings.held())
            transaction.session.flush()
            for entry in heard:
                self._judge(transaction, holdings.study, holdings.rows[entry.trial])
            return holdings.answer()

    def release(self, lease_id: str, renewal: Renewal) -> LeaseAnswer:
        """Take back what a draining worker has not finished. It is no loss of a worker.

        The trials released answer `done`. Raises LostLeaseError when every trial named is lost.
        """
        with self.database.write() as transaction:
            holdings = examine(transaction, lease_id, renewal.trials)
            released = holdings.held()
            for trial in released:
                requeue(trial)
                holdings.standings[trial.id] = "settled"
                log.info("trial_released", study=trial.study_id, number=trial.number, attempt=trial.attempt)
            touch(holdings.study, *released)
            transaction.session.flush()
            close_if_empty(transaction, holdings.lease)
            advance(transaction, holdings.study)
            return holdings.answer()

    def _extend(self, transaction: Transaction, holdings: Holdings) -> None:
        if holdings.held():
            holdings.lease.expires_at = max(holdings.lease.expires_at, transaction.now + self.terms.duration)

    def _judge(self, transaction: Transaction, study: StudyRow, trial: TrialRow) -> None:
        if trial.purpose != "search" or trial.directive is not None:
            return
        if self.searches.should_prune(transaction, study, trial):
            trial.directive = "prune"
            log.info("trial_pruned", study=study.id, number=trial.number, step=trial.step)


def keep_reports(transaction: Transaction, entries: list[TrialReports]) -> None:
    """Insert reports in bulk; a step that is there already is replaced by the later word."""
    # One statement may not touch a row twice on PostgreSQL: the last report of a step counts.
    rows = {
        (entry.trial, report.step): {
            "trial_id": entry.trial,
            "step": report.step,
            "attempt": entry.attempt,
            "epoch": report.epoch,
            "lr": report.lr,
            "train_loss": report.train_loss,
            "metrics": report.metrics,
        }
        for entry in entries
        for report in entry.reports
    }
    ordered = list(rows.values())
    for start in range(0, len(ordered), INSERT_ROWS):
        transaction.upsert(ReportRow, ["trial_id", "step"], ordered[start : start + INSERT_ROWS])


def _note_progress(study: StudyRow, trial: TrialRow, entry: TrialReports) -> None:
    trial.horizon_steps = entry.horizon_steps
    if trial.horizon_fraction == 1.0:
        study.horizon_steps = study.horizon_steps or entry.horizon_steps
    if entry.reports:
        trial.step = max(report.step for report in entry.reports)
    if entry.checkpoint is not None:
        trial.checkpoint = entry.checkpoint

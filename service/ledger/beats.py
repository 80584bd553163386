"""What a worker says about its lease while it trains: renew, report, release."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from sqlalchemy import bindparam, func, update

from lehr.wire.leases import LeaseAnswer, Renewal, ReportBatch, TrialReports
from service.database import Database, Transaction
from service.fleet import note_beat
from service.ledger.holdings import Holdings, examine
from service.ledger.progression import advance
from service.ledger.rules import LeaseTerms, close_if_empty, requeue, touch
from service.search.warmth import Searches
from service.tables import LEASES, STUDIES, TRIALS, LeaseRow, ReportRow, TrialRow

INSERT_ROWS = 2000
"""Rows to an INSERT: 7 values each stay below SQLite's 32,766 and PostgreSQL's 65,535 parameters."""

WORTH_EXTENDING = 20
"""A lease that has more than 19/20 of its time left is not written again: reports may come many times a second."""

EXTEND_LEASE = update(LEASES).where(LeaseRow.id == bindparam("lease")).values(expires_at=bindparam("until"))

NOTE_HORIZON = update(STUDIES).where(STUDIES.c.id == bindparam("study")).values(horizon_steps=bindparam("horizon"))

NOTE_PROGRESS = (
    update(TRIALS)
    .where(TrialRow.id == bindparam("trial"))
    .values(
        revision=bindparam("new_revision"),
        horizon_steps=bindparam("horizon"),
        step=func.coalesce(bindparam("last_step"), TrialRow.step),
        checkpoint=func.coalesce(bindparam("saved"), TrialRow.checkpoint),
    )
)

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
            note_beat(transaction, holdings.worker_id)
            return holdings.answer()

    def report(self, lease_id: str, batch: ReportBatch) -> LeaseAnswer:
        """Keep the reports of the trials that are held, and say what each is to do next.

        A report is a beat, too. Raises LostLeaseError when every trial named is lost.
        """
        with self.database.write() as transaction:
            holdings = examine(transaction, lease_id, batch.trials, changes=True)
            heard = [entry for entry in batch.trials if holdings.holds(entry.trial)]
            if heard:
                self._extend(transaction, holdings)
                keep_reports(transaction, heard)
                note_progress(transaction, holdings, heard)
                self._judge(transaction, holdings, heard)
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

    def _judge(self, transaction: Transaction, holdings: Holdings, heard: list[TrialReports]) -> None:
        """Ask the search, where it has a pruner, which of the trials it gives up on."""
        judged = [
            entry.trial
            for entry in heard
            if holdings.trials[entry.trial].purpose == "search" and entry.trial not in holdings.to_prune
        ]
        if not judged or not self.searches.prunes(transaction, holdings.study_id):
            return
        study = transaction.known_study(holdings.study_id)
        for trial in transaction.trials(judged):
            if self.searches.should_prune(transaction, study, trial):
                trial.directive = "prune"
                holdings.to_prune.add(trial.id)
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


def note_progress(transaction: Transaction, holdings: Holdings, heard: list[TrialReports]) -> None:
    """Note how far the trials are; the first one over the whole horizon tells the study how long that is."""
    whole = [entry.horizon_steps for entry in heard if holdings.trials[entry.trial].horizon_fraction == 1.0]
    if whole and holdings.horizon_steps is None:
        transaction.connection.execute(NOTE_HORIZON, {"study": holdings.study_id, "horizon": whole[0]})
    transaction.connection.execute(
        NOTE_PROGRESS,
        [
            {
                "trial": entry.trial,
                "new_revision": holdings.revision,
                "horizon": entry.horizon_steps,
                "last_step": max((report.step for report in entry.reports), default=None),
                "saved": entry.checkpoint,
            }
            for entry in heard
        ],
    )

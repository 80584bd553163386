"""Records the results of trials. Each trial gets exactly one."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from lehr.errors import Fault, InvalidValueError
from lehr.wire.leases import FinishBatch, LeaseAnswer, TrialFinish
from service.ledger.constraint_results import judge
from service.ledger.evaluations import settle_evaluated_trials
from service.ledger.failing import contained_lease
from service.ledger.fence import FencedLease, fence
from service.ledger.lifecycle import bump_revision, close_if_empty, settle
from service.ledger.study_phases import advance
from service.ledger.trial_progress import progress_document
from service.store.database import Database, Transaction
from service.store.tables import StudyRow, TrialRow

log = structlog.get_logger("lehr.ledger")


@dataclass(frozen=True)
class Finishes:
    """Handles the worker protocol's finish call."""

    database: Database

    def finish(self, lease_id: str, batch: FinishBatch) -> LeaseAnswer:
        """Settle the trials that are held, and repeat the answer for those already settled.

        Raises InvalidValueError for a result that contradicts itself (nothing is then recorded), and LostLeaseError if
        every named trial is lost.
        """
        check_results(batch)
        what = "the result of a trial could not be counted"
        return contained_lease(self.database, lease_id, what, lambda: self._finish(lease_id, batch))

    def _finish(self, lease_id: str, batch: FinishBatch) -> LeaseAnswer:
        with self.database.write() as transaction:
            fenced = fence(transaction, lease_id, batch.trials)
            expiries = [row.acknowledged_until for row in fenced.trials.values() if row.acknowledged_until is not None]
            if fenced.held():
                self._settle_held(transaction, fenced, batch)
                expiries.append(fenced.expires_at)
            return fenced.answer(max(expiries, default=None))

    def _settle_held(self, transaction: Transaction, fenced: FencedLease, batch: FinishBatch) -> None:
        study = transaction.known_study(fenced.study_id)
        trials = {trial.id: trial for trial in transaction.trials(fenced.held())}
        for entry in batch.trials:
            if entry.trial in trials:
                self._settle(transaction, study, trials[entry.trial], entry, fenced)
        bump_revision(study, *trials.values(), *settle_evaluated_trials(transaction, study, trials.values()))
        close_if_empty(transaction, fenced.lease_id)
        advance(transaction, study)

    def _settle(
        self, transaction: Transaction, study: StudyRow, trial: TrialRow, entry: TrialFinish, fenced: FencedLease
    ) -> None:
        value = judge(transaction, study, trial, entry.value) if entry.state == "COMPLETED" else entry.value
        settle(transaction, study, trial, entry.state, value=value, error=entry.error)
        if entry.progress is not None:
            trial.progress = progress_document(entry.progress, transaction.now)
        trial.execution = None if entry.execution is None else entry.execution.model_dump()
        # A finish does not extend the lease. It stores the expiry that it answered, so that a repeat answers the same.
        trial.acknowledged_until = fenced.expires_at
        fenced.standings[entry.trial] = "settled"
        log.info(
            "trial_finished",
            study=trial.study_id,
            number=trial.number,
            attempt=trial.attempt,
            state=entry.state,
            value=value,
        )


def check_results(batch: FinishBatch) -> None:
    faults = [fault for index, entry in enumerate(batch.trials) if (fault := _contradiction(index, entry)) is not None]
    if faults:
        raise InvalidValueError(faults)


def _contradiction(index: int, entry: TrialFinish) -> Fault | None:
    field = f"trials[{index}].value"
    if entry.state == "COMPLETED" and entry.value is None:
        return Fault(
            field,
            "a completed trial needs its objective's value",
            "a finite number",
            None,
            "Send the objective's last value, or DIVERGED if the loss is not finite.",
        )
    if entry.state in ("DIVERGED", "FAILED", "CANCELLED") and entry.value is not None:
        return Fault(
            field,
            f"a {entry.state} trial has no value",
            "null",
            entry.value,
            "Send null. Send values measured during the training as reports.",
        )
    return None

"""A fair share: how many of a study's free places one claim may take where other workers wait for work.

Who waits is a worker that could be given the study's trials, holds no trial of any study and was heard of within
`WAITING_SECONDS`. A worker that trains does not count: a place kept free for it is one in which nobody trains. So
whoever is alone, or asks for one trial at a time, is given what it asks for; and whoever asks gets at least one trial.
"""

from __future__ import annotations

import math
from datetime import timedelta

from sqlalchemy import bindparam, exists, func, or_, select

from service.ledger.lifecycle import ASKING_STATES, trainings_each
from service.ledger.stop_rules import affordable
from service.store.database import Transaction
from service.store.tables import IS_OPEN, LeaseRow, OfferRow, StudyRow, TrialRow, WorkerRow
from service.store.trials import count_open

WAITING_SECONDS = 30
"""A worker makes itself known when its claim begins, so this is longer than a claim waits: lehr's own 2 seconds."""

_TRAINS = exists().where(TrialRow.lease_id == LeaseRow.id, TrialRow.state == "RUNNING")

# Made so that both databases begin with the few workers that were heard of lately, and the few leases that are open:
# offers of a task, and leases of a worker, grow with the years.
COUNT_WAITING = select(func.count()).where(
    WorkerRow.last_seen_at >= bindparam("since", type_=WorkerRow.last_seen_at.type),
    WorkerRow.id != bindparam("worker"),
    WorkerRow.id.not_in(select(LeaseRow.worker_id).where(LeaseRow.is_open, _TRAINS)),
    exists().where(
        OfferRow.worker_id == WorkerRow.id,
        OfferRow.task_name == bindparam("task"),
        or_(OfferRow.folds, ~bindparam("folded", type_=OfferRow.folds.type)),
    ),
)

COUNT_HELD = select(func.count()).where(
    TrialRow.study_id == bindparam("study"),
    IS_OPEN,
    TrialRow.state == "RUNNING",
    TrialRow.worker_id == bindparam("worker"),
)


def fair_share(transaction: Transaction, study: StudyRow, worker_id: str, places: int) -> int:
    """How many of these free places the worker may be given, at least one of them.

    What is left, and what the worker holds of the study, is shared equally with each of those who wait; from its part,
    rounded up, goes what it holds. Needs the study's lock and flushed rows.
    """
    others = _waiting(transaction, study, worker_id)
    if not others:
        return places
    left = min(places, count_open(transaction, study.id, "WAITING") + _to_be_asked(transaction, study))
    held = transaction.connection.execute(COUNT_HELD, {"study": study.id, "worker": worker_id}).scalar_one()
    return max(1, math.ceil((left + held) / (1 + others)) - held)


def _waiting(transaction: Transaction, study: StudyRow, worker_id: str) -> int:
    """How many other workers wait that could be given the study's trials."""
    since = transaction.now - timedelta(seconds=WAITING_SECONDS)
    asked = {"since": since, "worker": worker_id, "task": study.task_name, "folded": study.folds is not None}
    count: int = transaction.connection.execute(COUNT_WAITING, asked).scalar_one()
    return count


def _to_be_asked(transaction: Transaction, study: StudyRow) -> int:
    """How many trainings the search may still ask for."""
    if study.state not in ASKING_STATES or study.is_sweeping:
        return 0
    return affordable(transaction, study, study.budget_trials - study.trials_created) * trainings_each(study)

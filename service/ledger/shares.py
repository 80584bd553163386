"""Fair shares: how many of a study's free places one claim may take while other workers wait for work.

A worker waits if it could train the study's trials, holds no trial of any study, and was seen within `WAITING_SECONDS`.
Workers that train do not count, because a place kept free for them would stay empty. So a worker that is alone, or asks
for one trial at a time, gets what it asks for, and every claim gets at least one trial.
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
"""A worker is seen when its claim begins, so this must be longer than a claim waits (2 seconds for lehr's workers)."""

_TRAINS = exists().where(TrialRow.lease_id == LeaseRow.id, TrialRow.state == "RUNNING")

# Written so that both databases start from the few recently seen workers and the few open leases: the offers of a task
# and the leases of a worker grow over the years.
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
    """How many of these free places the worker may take; at least one.

    The trainings left, plus those that the worker holds, are divided equally among it and the waiting workers. Its
    part, rounded up, minus what it holds, is the result. Needs the study's lock and flushed rows.
    """
    others = _waiting(transaction, study, worker_id)
    if not others:
        return places
    left = min(places, count_open(transaction, study.id, "WAITING") + _to_be_asked(transaction, study))
    held = transaction.connection.execute(COUNT_HELD, {"study": study.id, "worker": worker_id}).scalar_one()
    return max(1, math.ceil((left + held) / (1 + others)) - held)


def _waiting(transaction: Transaction, study: StudyRow, worker_id: str) -> int:
    """How many other workers that could train the study's trials wait."""
    since = transaction.now - timedelta(seconds=WAITING_SECONDS)
    values = {"since": since, "worker": worker_id, "task": study.task_name, "folded": study.folds is not None}
    count: int = transaction.connection.execute(COUNT_WAITING, values).scalar_one()
    return count


def _to_be_asked(transaction: Transaction, study: StudyRow) -> int:
    """How many trainings the search may still create."""
    if study.state not in ASKING_STATES or study.is_sweeping:
        return 0
    return affordable(transaction, study, study.budget_trials - study.trials_created) * trainings_each(study)

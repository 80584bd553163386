"""A look is a summary of a task's data, made on a worker's machine: users request it, a worker answers it.

Few are kept, and not for long: a look fails after ANSWER_SECONDS without an answer, and is deleted after KEPT_SECONDS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import CursorResult, delete, func, or_, select, update

from lehr.errors import ConflictError, Fault, InvalidValueError, NotFoundError, TooManyError
from lehr.wire.data import DataSummary
from lehr.wire.looks import FINISHED_LOOK_STATES, Look, LookAnswer, LookOrder
from service.fleet import Fleet, KnownTask
from service.store.database import Database, Transaction
from service.store.tables import LookRow
from service.studies.validation import params_faults, with_defaults

MOST_LOOKS = 100
"""Maximum number of stored looks, including answered ones."""
ANSWER_SECONDS = 120
KEPT_SECONDS = 600

log = structlog.get_logger("lehr.looks")


@dataclass(frozen=True)
class Looks:
    database: Database
    fleet: Fleet
    new_id: Callable[[], str]

    def request(self, name: str, params: dict[str, Any]) -> str:
        """Queue a look and return its id.

        Raises NotFoundError for an unknown task, ConflictError if no live worker offers it, InvalidValueError if it has
        no data to look at or the parameters are invalid, and TooManyError if too many looks are stored.
        """
        with self.database.read() as transaction:
            task = self._task(transaction, name)
        params = with_defaults(params, task.params_schema)
        if faults := params_faults(params, task):
            raise InvalidValueError([replace(one, field=one.field.removeprefix("task.")) for one in faults])
        look_id = self.new_id()
        with self.database.write() as transaction:
            _make_room(transaction)
            look = LookRow(id=look_id, task_name=name, params=params, state="WAITING", created_at=transaction.now)
            transaction.session.add(look)
        log.info("look_requested", look=look_id, task=name)
        return look_id

    def find(self, look_id: str) -> Look:
        """Raises NotFoundError, also for a look that was deleted."""
        with self.database.read() as transaction:
            return _document(transaction, _find(transaction, look_id))

    def claim(self, worker: str, tasks: Sequence[str]) -> LookOrder | None:
        """The oldest waiting look at one of these tasks, or the one that this worker has not answered yet."""
        with self.database.read() as transaction:
            is_for_it = or_(LookRow.state == "WAITING", (LookRow.state == "RUNNING") & (LookRow.worker_id == worker))
            query = (
                select(LookRow)
                .where(is_for_it, LookRow.task_name.in_(tasks), LookRow.created_at > _oldest(transaction))
                .order_by(LookRow.state, LookRow.created_at, LookRow.id)
                .limit(1)
            )
            look = transaction.session.execute(query).scalar_one_or_none()
            if look is None:
                return None
            order = LookOrder(look_id=look.id, task=look.task_name, params=look.params)
            if look.state == "RUNNING":
                return order
        with self.database.write() as transaction:
            taken = update(LookRow).where(LookRow.id == order.look_id, LookRow.state == "WAITING")
            result = transaction.session.execute(taken.values(state="RUNNING", worker_id=worker))
            is_taken = isinstance(result, CursorResult) and result.rowcount == 1
        return order if is_taken else None

    def answer(self, look_id: str, answer: LookAnswer) -> Look:
        """A repeated answer changes nothing. Raises NotFoundError, and ConflictError if another worker has the look."""
        with self.database.write() as transaction:
            look = _find(transaction, look_id)
            is_late = look.created_at <= _oldest(transaction) and look.state not in FINISHED_LOOK_STATES
            if look.worker_id != answer.worker or is_late:
                raise ConflictError(f"look {look_id} belongs to another worker, or is too old")
            if look.state not in FINISHED_LOOK_STATES:
                look.state = "COMPLETED" if answer.error is None else "FAILED"
                look.data = None if answer.data is None else answer.data.model_dump(mode="json")
                look.error = answer.error
                log.info("look_answered", look=look_id, worker=answer.worker, state=look.state)
            return _document(transaction, look)

    def _task(self, transaction: Transaction, name: str) -> KnownTask:
        task = self.fleet.task(transaction, name)
        if task is None:
            raise NotFoundError(f"there is no task {name[:200]}: no live worker offers it, and it is not built in")
        if not task.is_live:
            raise ConflictError(f"no live worker offers the task {name}; start one with `lehr worker`")
        if not task.looks:
            bound, remedy = "a task that a worker offers with looks: true", "Run lehr data look FILE where the data is."
            raise InvalidValueError(Fault("name", "this task has no data to look at", bound, name, remedy))
        return task


def _find(transaction: Transaction, look_id: str) -> LookRow:
    look = transaction.session.get(LookRow, look_id)
    if look is None or look.created_at <= transaction.now - timedelta(seconds=KEPT_SECONDS):
        raise NotFoundError(f"there is no look {look_id}; looks are deleted after {KEPT_SECONDS} seconds")
    return look


def _make_room(transaction: Transaction) -> None:
    oldest_kept = transaction.now - timedelta(seconds=KEPT_SECONDS)
    transaction.session.execute(delete(LookRow).where(LookRow.created_at <= oldest_kept))
    count = transaction.session.execute(select(func.count()).select_from(LookRow)).scalar_one()
    if count >= MOST_LOOKS:
        bound, remedy = f"at most {MOST_LOOKS} in {KEPT_SECONDS} seconds", "Wait a few minutes, then try again."
        raise TooManyError(Fault("", "too many looks were requested", bound, count, remedy))


def _oldest(transaction: Transaction) -> datetime:
    """Looks requested before this time can no longer be answered."""
    return transaction.now - timedelta(seconds=ANSWER_SECONDS)


def _document(transaction: Transaction, look: LookRow) -> Look:
    state, error = look.state, look.error
    if state not in FINISHED_LOOK_STATES and look.created_at <= _oldest(transaction):
        done = "claimed it" if state == "WAITING" else "answered"
        state, error = "FAILED", f"no worker {done} within {ANSWER_SECONDS} seconds"
    return Look(
        look_id=look.id,
        task=look.task_name,
        params=look.params,
        state=state,
        data=None if look.data is None else DataSummary.model_validate(look.data),
        error=error,
        created_at=look.created_at,
    )

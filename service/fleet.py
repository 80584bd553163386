"""Records the workers and the tasks that they offer, both of which come with their claims."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from importlib.resources import files
from typing import Any

import structlog
from sqlalchemy import delete, select
from sqlalchemy.orm import defer

from lehr.errors import Fault, InvalidValueError
from lehr.wire.fleet import Task, Worker
from lehr.wire.leases import TaskOffer, WorkerInfo
from lehr.wire.training import Training
from service.offers.offered_schemas import claim_fault, schema_faults
from service.parts import Parts
from service.store.database import Database, Transaction
from service.store.tables import OfferRow, TrialRow, WorkerRow

LIVE_LEASES = 2
"""A worker counts as live for this many lease durations after it was last seen."""

MOST_TRAINING = 16
"""The most trials that a worker's document lists: a cohort may have a thousand."""

REFRESH_SECONDS = 5
"""A worker's last call is stored at most this often."""


log = structlog.get_logger("lehr.fleet")


@dataclass(frozen=True)
class KnownTask:
    """A task that is built in or offered by workers."""

    name: str
    params_schema: dict[str, Any] | None
    metrics: list[str] | None
    is_live: bool
    workers: int
    folds: bool = False
    folds_are_live: bool = False
    looks: bool = False


@dataclass(frozen=True)
class Fleet:
    """The workers and their tasks."""

    database: Database
    lease_seconds: float

    def see(self, worker: WorkerInfo) -> bool:
        """Record a worker that claims work and the tasks that it offers; False if nothing is new."""
        offers = [task if isinstance(task, TaskOffer) else TaskOffer(name=task) for task in worker.tasks]
        with self.database.read() as transaction:
            if _is_fresh(transaction, worker, offers):
                return False
        _check_offers(offers)
        _log_differences(worker, offers)
        with self.database.write() as transaction:
            _upsert_worker(transaction, worker)
            transaction.session.execute(delete(OfferRow).where(OfferRow.worker_id == worker.id))
            transaction.session.add_all(_offer_row(worker.id, offer) for offer in offers)
        return True

    def live_since(self, transaction: Transaction) -> datetime:
        return transaction.now - timedelta(seconds=LIVE_LEASES * self.lease_seconds)

    def workers(self, transaction: Transaction, after_id: str, limit: int) -> list[Worker]:
        query = select(WorkerRow).where(WorkerRow.id > after_id).order_by(WorkerRow.id).limit(limit)
        rows = list(transaction.session.execute(query).scalars())
        tasks = _tasks_of(transaction, [row.id for row in rows])
        running = _running_of(transaction, [row.id for row in rows])
        live_since = self.live_since(transaction)
        return [
            Worker(
                id=row.id,
                name=row.name,
                device=row.device,
                tasks=tasks.get(row.id, []),
                labels=row.labels,
                live=row.last_seen_at >= live_since,
                running_trials=len(running.get(row.id, [])),
                training=running.get(row.id, [])[:MOST_TRAINING],
                last_seen_at=row.last_seen_at,
            )
            for row in rows
        ]

    def tasks(self, transaction: Transaction, after_name: str, limit: int) -> Iterator[Task]:
        """Tasks by name, starting after a name. Each is read only when the iterator reaches it."""
        query = select(OfferRow.task_name).where(OfferRow.task_name > after_name).distinct()
        names = transaction.session.execute(query.order_by(OfferRow.task_name).limit(limit)).scalars().all()
        tasks = (self._described(name, self._offers(transaction, name)) for name in names)
        return (
            Task(
                name=task.name,
                params_schema=task.params_schema,
                metrics=task.metrics,
                live=task.is_live,
                workers=task.workers,
                folds=task.folds,
                looks=task.looks,
            )
            for task in tasks
        )

    def task(self, transaction: Transaction, name: str) -> KnownTask | None:
        """The task as live workers offer it, or the built-in task; None if there is neither.

        Offers of workers that are gone do not count, because their next version may offer something else.
        """
        live = [offer for offer in self._offers(transaction, name) if offer.is_live]
        return self._described(name, live) if live else BUILTIN_TASKS.get(name)

    def names(self, transaction: Transaction) -> list[str]:
        """The names of all tasks that are built in or offered by a live worker."""
        query = (
            select(OfferRow.task_name)
            .join(WorkerRow, WorkerRow.id == OfferRow.worker_id)
            .where(WorkerRow.last_seen_at >= self.live_since(transaction))
            .distinct()
        )
        return sorted({*BUILTIN_TASKS, *transaction.session.execute(query).scalars()})

    def _offers(self, transaction: Transaction, name: str) -> list[_Offer]:
        """The offers of a task: first those with a schema, and of these the most recently seen worker's first."""
        query = (
            select(OfferRow, WorkerRow.last_seen_at)
            # The schema is loaded only for the offer that is used: every worker sends the same large schema.
            .options(defer(OfferRow.params_schema), defer(OfferRow.metrics))
            .join(WorkerRow, WorkerRow.id == OfferRow.worker_id)
            .where(OfferRow.task_name == name)
            .order_by(OfferRow.params_schema.is_(None), WorkerRow.last_seen_at.desc(), WorkerRow.id)
        )
        live_since = self.live_since(transaction)
        return [_Offer(row, seen >= live_since) for row, seen in transaction.session.execute(query)]

    def _described(self, name: str, offers: list[_Offer]) -> KnownTask:
        """The task described by its first offer. A built-in task keeps its own description, whatever workers offer."""
        live = [offer.row for offer in offers if offer.is_live]
        task = BUILTIN_TASKS.get(name) or _as_offered(offers[0].row, folds=any(offer.row.folds for offer in offers))
        return replace(
            task,
            is_live=bool(live),
            workers=len(live),
            folds_are_live=any(row.folds for row in live),
            looks=any(row.looks for row in live),
        )


@dataclass(frozen=True)
class _Offer:
    row: OfferRow
    is_live: bool


def _as_offered(row: OfferRow, *, folds: bool) -> KnownTask:
    schema = row.params_schema if isinstance(row.params_schema, dict) else None
    metrics = row.metrics if isinstance(row.metrics, list) else None
    return KnownTask(row.task_name, schema, metrics, is_live=False, workers=0, folds=folds)


def _builtin_tasks() -> dict[str, KnownTask]:
    text = files("service").joinpath("builtin_tasks.json").read_text("utf-8")
    offers = [TaskOffer.model_validate(offer) for offer in json.loads(text)]
    return {
        offer.name: KnownTask(offer.name, offer.params_schema, offer.metrics, False, 0, folds=offer.folds)
        for offer in offers
    }


BUILTIN_TASKS = _builtin_tasks()
"""The built-in tasks as their workers offer them, generated by tools/builtin_tasks.py."""


def note_beat(transaction: Transaction, worker_id: str) -> None:
    """Record that a worker is live when it sends a heartbeat or a report."""
    worker = transaction.session.get(WorkerRow, worker_id)
    if worker is not None and transaction.now - worker.last_seen_at > timedelta(seconds=REFRESH_SECONDS):
        worker.last_seen_at = transaction.now


def _check_offers(offers: list[TaskOffer]) -> None:
    """Refuse bad schemas here, where the worker's author sees the error, and not when a study is created."""
    schemas = [offer.params_schema for offer in offers if offer.params_schema is not None]
    if (too_large := claim_fault(schemas)) is not None:
        raise InvalidValueError(too_large)
    for index, offer in enumerate(offers):
        if offer.params_schema is not None and (faults := schema_faults(offer.params_schema)):
            raise InvalidValueError([fault.under(f"worker.tasks[{index}].params_schema") for fault in faults])
    names = [offer.name for offer in offers]
    repeated = next((name for name, count in Counter(names).items() if count > 1), None)
    if repeated is not None:
        raise InvalidValueError(
            Fault("worker.tasks", "the task is listed twice", "each task once", repeated, "List each task once.")
        )


def _log_differences(worker: WorkerInfo, offers: list[TaskOffer]) -> None:
    """Warn of workers that offer a built-in task differently, because they have another version or implementation."""
    for offer in offers:
        own, schema = BUILTIN_TASKS.get(offer.name), offer.params_schema
        if own is not None and schema is not None and (schema, offer.metrics) != (own.params_schema, own.metrics):
            log.warning("builtin_task_offered_otherwise", worker=worker.name, task=offer.name)


def _is_fresh(transaction: Transaction, worker: WorkerInfo, offers: list[TaskOffer]) -> bool:
    row = transaction.session.get(WorkerRow, worker.id)
    if row is None or transaction.now - row.last_seen_at > timedelta(seconds=REFRESH_SECONDS):
        return False
    if (row.name, row.device, row.labels) != (worker.name, worker.device, worker.labels):
        return False
    known = transaction.session.execute(select(OfferRow).where(OfferRow.worker_id == worker.id)).scalars()
    described = {offer.task_name: (offer.params_schema, offer.metrics, offer.folds, offer.looks) for offer in known}
    return described == {offer.name: (offer.params_schema, offer.metrics, offer.folds, offer.looks) for offer in offers}


def _upsert_worker(transaction: Transaction, worker: WorkerInfo) -> None:
    values = {
        "id": worker.id,
        "name": worker.name,
        "device": worker.device,
        "labels": worker.labels,
        "last_seen_at": transaction.now,
    }
    transaction.upsert(WorkerRow, ["id"], [values])


def _offer_row(worker_id: str, offer: TaskOffer) -> OfferRow:
    return OfferRow(
        worker_id=worker_id,
        task_name=offer.name,
        params_schema=offer.params_schema,
        metrics=offer.metrics,
        folds=offer.folds,
        looks=offer.looks,
    )


def _tasks_of(transaction: Transaction, worker_ids: list[str]) -> dict[str, list[str]]:
    query = (
        select(OfferRow.worker_id, OfferRow.task_name)
        .where(OfferRow.worker_id.in_(worker_ids))
        .order_by(OfferRow.task_name)
    )
    tasks: dict[str, list[str]] = {}
    for worker_id, name in transaction.session.execute(query):
        tasks.setdefault(worker_id, []).append(name)
    return tasks


def _running_of(transaction: Transaction, worker_ids: list[str]) -> dict[str, list[Training]]:
    names = [name for name in Training.model_fields if name != "trial"]
    query = (
        select(TrialRow.worker_id, TrialRow.id.label("trial"), *(getattr(TrialRow, name) for name in names))
        .where(TrialRow.worker_id.in_(worker_ids), TrialRow.state == "RUNNING")
        .order_by(TrialRow.study_id, TrialRow.number)
    )
    running: dict[str, list[Training]] = {}
    for row in transaction.session.execute(query):
        training = Parts(row.trial).get("training", partial(Training.model_validate, row._asdict()), None)
        if training is not None:
            running.setdefault(row.worker_id, []).append(training)
    return running

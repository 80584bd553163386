"""Checks studies that were created before any worker offered their task, once a worker offers it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from sqlalchemy import select

from lehr.errors import Fault
from service.fleet import Fleet, KnownTask
from service.ledger.failing import contained
from service.ledger.lifecycle import bump_revision
from service.ledger.study_phases import cancel_open_trials, end
from service.ranges.standalone import metric_of, no_metric_faults
from service.store.database import Database, Transaction
from service.store.tables import StudyRow
from service.studies.validation import NOT_OFFERED, params_faults, task_faults, with_defaults

WAITING_STATES = ("QUEUED", "PAUSED")

log = structlog.get_logger("lehr.studies")


@dataclass(frozen=True)
class Admission:
    """Validates waiting studies against newly offered tasks."""

    database: Database
    fleet: Fleet

    def check_waiting(self, task_names: Iterable[str]) -> None:
        """Check the unchecked studies of these tasks against what a live worker now offers.

        A study that the task cannot train becomes FAILED, with the reason.
        """
        names = list(task_names)
        query = select(StudyRow.id, StudyRow.warnings).where(
            StudyRow.state.in_(WAITING_STATES), StudyRow.started_at.is_(None), StudyRow.task_name.in_(names)
        )
        with self.database.read() as transaction:
            unchecked = [row.id for row in transaction.session.execute(query) if _was_not_offered(row.warnings)]
        for study_id in unchecked:
            contained(self.database, study_id, "the study could not be checked", partial(self._check, study_id))

    def _check(self, study_id: str) -> None:
        with self.database.write() as transaction:
            study = transaction.lock_study(study_id)
            if study is None or study.state not in WAITING_STATES or study.started_at is not None:
                return
            task = self.fleet.task(transaction, study.task_name)
            if task is None or not task.is_live:
                return
            if (refused := _refusal(study, task)) is not None:
                cancel_open_trials(transaction, study)
                end(transaction, study, "FAILED", refused)
            else:
                _admit(transaction, study, task)


def _refusal(study: StudyRow, task: KnownTask) -> str | None:
    """Why the task cannot train the study; None if it can."""
    try:
        faults = _faults(study, task)
    except ValueError as error:
        # An older server accepted a spec that this one cannot read. That must not fail a worker's claim.
        return f"this server cannot read the study's spec: {error}"[:1000]
    return "the task refuses this study: " + "; ".join(map(str, faults)) if faults else None


def _faults(study: StudyRow, task: KnownTask) -> list[Fault]:
    params = with_defaults(study.spec.task.params, task.params_schema)
    if study.is_range_test:
        return [*params_faults(params, task), *no_metric_faults(task)]
    objective = study.spec.objective
    return [*params_faults(params, task), *task_faults(objective, study.spec.space.to_space().followed_metrics(), task)]


def _admit(transaction: Transaction, study: StudyRow, task: KnownTask) -> None:
    stored = study.spec_document
    reference = {**stored["task"], "params": with_defaults(study.spec.task.params, task.params_schema)}
    objective = stored["objective"]
    if study.is_range_test:
        objective = {**objective, "metric": metric_of(task)}
    study.spec_document = {**stored, "task": reference, "objective": objective}
    study.warnings = [warning for warning in study.warnings if warning["code"] != NOT_OFFERED]
    bump_revision(study)
    transaction.flush()
    log.info("study_checked", study=study.id, task=task.name)


def _was_not_offered(warnings: list[Any]) -> bool:
    return any(isinstance(warning, dict) and warning.get("code") == NOT_OFFERED for warning in warnings)

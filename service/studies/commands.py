"""The commands of users on studies: create, pause, resume, stop, cancel, delete, enqueue a schedule."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from lehr.errors import (
    ConflictError,
    Fault,
    IdempotencyError,
    InvalidScheduleError,
    InvalidSpaceError,
)
from lehr.schedules import Plateau, Schedule
from lehr.wire.ranges import AUTO, RangeTestRequest
from lehr.wire.studies import FINISHED_STUDY_STATES, StudySpec, StudyState
from lehr.wire.trials import Origin
from service.fleet import Fleet, KnownTask
from service.ledger.evaluations import expand_evaluations
from service.ledger.lifecycle import bump_revision
from service.ledger.range_test_stage import enqueue_sweeps
from service.ledger.stop_rules import affordable
from service.ledger.study_phases import advance, cancel_open_trials, cancel_waiting, end
from service.ranges.bounds import searched_space
from service.ranges.standalone import standalone_study, with_supported_metric
from service.search.searcher_cache import SearcherCache, new_trial
from service.store.database import Database, Transaction
from service.store.studies import locked_study
from service.store.tables import StudyRow, TrialRow
from service.studies.validation import NOT_OFFERED, Resolved, resolve
from service.studies.warm_start import Start, warm_start

log = structlog.get_logger("lehr.studies")


@dataclass(frozen=True)
class Studies:
    """Creates and controls studies."""

    database: Database
    searches: SearcherCache
    fleet: Fleet
    new_id: Callable[[], str]
    max_trials: int

    def resolve(self, spec: StudySpec) -> Resolved:
        """The spec as it would run. Raises InvalidStudyError."""
        with self.database.read() as transaction:
            task, names = self.fleet.task(transaction, spec.task.name), self.fleet.names(transaction)
            resolved = resolve(spec, task, self.max_trials, names)
            first = warm_start(transaction, spec, resolved.spec["task"]["params"])
        if spec.warm_start != "off":
            resolved.spec["warm_start"] = first.studies
        baselines = [Start(schedule, "user") for schedule in spec.baseline.schedules]
        guesses = [Start(schedule, "guess") for schedule in spec.space.guesses]
        return replace(resolved, starts=(*baselines, *guesses, *first.starts))

    def create(self, spec: StudySpec, key: str | None) -> str:
        """Create a study and return its id. A key that was used for the same request returns the same study.

        Raises InvalidStudyError, and IdempotencyError if the key was used for a different request.
        """
        return self._create(spec, self.resolve, key)

    def create_range_test(self, request: RangeTestRequest, key: str | None) -> str:
        """Create a standalone range test and return its id; otherwise like `create`."""
        spec = standalone_study(request)

        def without_search(spec: StudySpec) -> Resolved:
            with self.database.read() as transaction:
                task, names = self.fleet.task(transaction, spec.task.name), self.fleet.names(transaction)
            resolved = resolve(with_supported_metric(task, spec), task, self.max_trials, names)
            resolved.spec["budget"]["trials"] = 0
            warnings = [warning for warning in resolved.warnings if warning.code == NOT_OFFERED]
            return Resolved(resolved.spec, warnings)

        return self._create(spec, without_search, key)

    def _create(self, spec: StudySpec, resolve_: Callable[[StudySpec], Resolved], key: str | None) -> str:
        digest = _digest(spec)
        if key is not None and (known := self._known(key, digest)) is not None:
            return known
        resolved = resolve_(spec)
        try:
            return self._store(spec, resolved, key, digest)
        except IntegrityError:
            # The same request came twice concurrently, and the other one has stored its study.
            if key is None or (known := self._known(key, digest)) is None:
                raise
            return known

    def pause(self, study_id: str) -> None:
        """Start no new trials; running ones continue. Raises ConflictError unless queued, running or confirming."""
        with self.database.write() as transaction:
            study = locked_study(transaction, study_id)
            if study.state != "PAUSED":
                _require(study, "pause", ("QUEUED", "RUNNING", "CONFIRMING"))
                self._change(study, "PAUSED")

    def resume(self, study_id: str) -> None:
        """Continue after a pause. Raises ConflictError for a finished or stopping study."""
        with self.database.write() as transaction:
            study = locked_study(transaction, study_id)
            if study.state in ("QUEUED", "RUNNING", "CONFIRMING"):
                return
            _require(study, "resume", ("PAUSED",))
            self._change(study, _state_before_pause(study))
            advance(transaction, study)

    def stop(self, study_id: str) -> None:
        """Start no new trials; once the running ones have ended, confirm and answer."""
        with self.database.write() as transaction:
            study = locked_study(transaction, study_id)
            if study.state in ("STOPPING", "CONFIRMING"):
                return
            _require(study, "stop", ("QUEUED", "RUNNING", "PAUSED"))
            if study.finalists is not None:
                self._change(study, "CONFIRMING")
            else:
                cancel_waiting(transaction, study)
                self._change(study, "STOPPING")
            advance(transaction, study)

    def cancel(self, study_id: str) -> None:
        """End the study now: waiting and running trials become CANCELLED."""
        with self.database.write() as transaction:
            study = locked_study(transaction, study_id)
            if study.state == "CANCELLED":
                return
            _require(study, "cancel", ("QUEUED", "RUNNING", "PAUSED", "STOPPING", "CONFIRMING"))
            cancel_open_trials(transaction, study)
            end(transaction, study, "CANCELLED", "cancelled by a user")
        self.searches.forget(study_id)

    def delete(self, study_id: str) -> None:
        """Delete a finished study and all its data. Raises ConflictError if it is not finished."""
        with self.database.write() as transaction:
            study = locked_study(transaction, study_id)
            _require(study, "delete", FINISHED_STUDY_STATES)
            transaction.session.execute(delete(StudyRow).where(StudyRow.id == study_id))
        self.searches.forget(study_id)
        log.info("study_deleted", study=study_id)

    def enqueue(self, study_id: str, schedule: Schedule, origin: Origin = "user") -> int:
        """Add a trial of a user's schedule, which counts towards the budget; returns the trial's number.

        Raises InvalidScheduleError for an adaptive schedule whose metric the task does not report, and ConflictError if
        the study is no longer searching or its budget of trials or steps is spent.
        """
        with self.database.write() as transaction:
            study = locked_study(transaction, study_id)
            _require_metric(schedule, self.fleet.task(transaction, study.task_name))
            _require(study, "enqueue a schedule in", ("QUEUED", "RUNNING", "PAUSED"))
            if study.finalists is not None or study.trials_created >= study.budget_trials:
                raise ConflictError(
                    f"the budget of {study.budget_trials} trials is spent; create a study with a larger budget"
                )
            if affordable(transaction, study, 1) < 1:
                raise ConflictError(
                    "budget.max_steps leaves no room for another training now; wait until the running ones have ended, "
                    "or create a study with a larger budget"
                )
            trial = _enqueue(transaction, study, Start(schedule, origin))
            bump_revision(study, trial, *expand_evaluations(transaction, study, [trial]))
            log.info("trial_enqueued", study=study.id, number=trial.number, family=trial.family)
            return trial.number

    def _known(self, key: str, digest: str) -> str | None:
        with self.database.read() as transaction:
            query = select(StudyRow.id, StudyRow.request_digest).where(StudyRow.idempotency_key == key)
            study = transaction.session.execute(query).one_or_none()
        if study is None:
            return None
        if study.request_digest != digest:
            raise IdempotencyError(
                "this Idempotency-Key was already used for another study; use a new key for a new request"
            )
        study_id: str = study.id
        return study_id

    def _store(self, spec: StudySpec, resolved: Resolved, key: str | None, digest: str) -> str:
        with self.database.write() as transaction:
            study = StudyRow(
                id=self.new_id(),
                name=spec.name,
                state="QUEUED",
                spec_document=resolved.spec,
                trials_created=0,
                next_number=0,
                warnings=[warning.model_dump(mode="json") for warning in resolved.warnings],
                revision=0,
                task_name=spec.task.name,
                priority=spec.priority,
                budget_trials=resolved.spec["budget"]["trials"],
                parallel=spec.budget.parallel,
                folds=spec.objective.folds,
                trained_seconds=0.0,
                idempotency_key=key,
                request_digest=digest,
                created_at=transaction.now,
            )
            transaction.session.add(study)
            expand_evaluations(transaction, study, [_enqueue(transaction, study, start) for start in resolved.starts])
            if spec.space.start_lr == AUTO:
                enqueue_sweeps(transaction, study)
        log.info("study_queued", study=study.id, name=study.name, task=study.task_name, trials=study.budget_trials)
        return study.id

    def _change(self, study: StudyRow, state: StudyState) -> None:
        study.state = state
        bump_revision(study)
        log.info("study_changed", study=study.id, state=state)


def _require(study: StudyRow, verb: str, states: tuple[str, ...]) -> None:
    if study.state not in states:
        raise ConflictError(f"cannot {verb} a study that is {study.state}; it must be {' or '.join(states)}")


def _state_before_pause(study: StudyRow) -> StudyState:
    if study.finalists is not None:
        return "CONFIRMING"
    return "RUNNING" if study.started_at is not None else "QUEUED"


def _enqueue(transaction: Transaction, study: StudyRow, start: Start) -> TrialRow:
    """Add a search trial of a schedule that no sampler chose. It counts towards the budget."""
    trial = new_trial(study, start.schedule.to_dict(), purpose="search", origin=start.origin)
    trial.point = _point(study, start.schedule)
    trial.queued_at = transaction.now
    study.trials_created += 1
    transaction.session.add(trial)
    return trial


def _require_metric(schedule: Schedule, task: KnownTask | None) -> None:
    if not isinstance(schedule, Plateau) or task is None or task.metrics is None or schedule.metric in task.metrics:
        return
    bound, remedy = "one of " + ", ".join(task.metrics), "Use a metric that the task reports."
    message = f"the task {task.name} does not report this metric"
    raise InvalidScheduleError(Fault("schedule.metric", message, bound, schedule.metric, remedy))


def _point(study: StudyRow, schedule: Schedule) -> dict[str, Any] | None:
    """The schedule's coordinates in the study's space; None if it lies outside, and so informs no sampler."""
    try:
        return dict(searched_space(study).to_space().point(schedule))
    except InvalidSpaceError:
        return None


def _digest(spec: StudySpec) -> str:
    canonical = json.dumps(spec.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()

"""Claims: a worker asks for trials and gets a lease, or nothing.

Studies are served by priority, then by age. Within a study, waiting trials come first (released, lost, enqueued by a
user, or part of a range test or confirmation), then new trials that the search chooses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Integer, and_, bindparam, exists, func, or_, select
from sqlalchemy.exc import IntegrityError

from lehr.wire.leases import Claim, Lease, LeasedStudy, LeasedTrial
from service.ledger.evaluations import expand_evaluations, start_evaluated_trials
from service.ledger.failing import contained
from service.ledger.lifecycle import ASKING_STATES, CLAIMABLE_STATES, LeaseTerms, bump_revision, trainings_each
from service.ledger.range_test_stage import sweep_length
from service.ledger.shares import fair_share
from service.ledger.stop_rules import affordable, has_rules
from service.ledger.study_phases import advance
from service.search.searcher_cache import Asked, SearcherCache, create_trials
from service.store.database import Database, Transaction
from service.store.tables import IS_OPEN, LeaseRow, StudyRow, TrialRow
from service.store.trials import count_open

CANDIDATES = 50

MOST_RACES = 25
"""How often a claim asks the search again because another server was faster to create the study's next trial."""

# Statements are built once, because building one costs more than running it.
# A search trial with evaluations is trained through them: no worker runs the search trial itself.
_IS_TRAINING = and_(TrialRow.study_id == StudyRow.id, IS_OPEN, TrialRow.evaluations.is_(None))
_RUNNING = select(func.count()).where(_IS_TRAINING, TrialRow.state == "RUNNING").scalar_subquery()
_WAITS = exists().where(_IS_TRAINING, TrialRow.state == "WAITING")
_ASKS = and_(StudyRow.state.in_(ASKING_STATES), StudyRow.trials_created < StudyRow.budget_trials, ~StudyRow.is_sweeping)

STUDIES_WITH_WORK = (
    select(StudyRow.id)
    .where(
        StudyRow.state.in_(CLAIMABLE_STATES),
        StudyRow.task_name.in_(bindparam("tasks", expanding=True)),
        or_(StudyRow.folds.is_(None), StudyRow.task_name.in_(bindparam("foldable", expanding=True))),
        StudyRow.parallel > _RUNNING,
        or_(_WAITS, _ASKS),
    )
    .order_by(StudyRow.priority.desc(), StudyRow.created_at, StudyRow.id)
    .limit(CANDIDATES)
)
"""Ids of the studies that have a trial of one of these tasks available now, in queue order."""

STUDY_WITH_WORK = STUDIES_WITH_WORK.where(StudyRow.id == bindparam("study"))
"""The same for one study, which a training script has asked for."""

WAITING_TRIALS = (
    select(TrialRow)
    .where(
        TrialRow.study_id == bindparam("study"), IS_OPEN, TrialRow.state == "WAITING", TrialRow.evaluations.is_(None)
    )
    .order_by(TrialRow.number)
    .limit(bindparam("room", type_=Integer))
)

LEASE_OF_KEY = select(LeaseRow).where(
    LeaseRow.worker_id == bindparam("worker"), LeaseRow.idempotency_key == bindparam("key")
)

log = structlog.get_logger("lehr.ledger")


@dataclass(frozen=True)
class _Outcome:
    """The outcome of an attempt under the study's lock. `used`: how many of the suggestions became trials.

    `is_outdated`: nothing was leased, and the search must be asked (again), because the study has changed.
    """

    lease: dict[str, Any] | None = None
    used: int = 0
    is_outdated: bool = False


@dataclass(frozen=True)
class Claims:
    """Gives workers leases on trials."""

    database: Database
    searches: SearcherCache
    terms: LeaseTerms
    new_id: Callable[[], str]

    def claim(self, claim: Claim, key: str | None) -> dict[str, Any] | None:
        """A lease as a JSON document, or None if no trial is available.

        `key`: the claim's idempotency key. A key that this worker has used before gets the same lease again.
        """
        try:
            return self._claim_once(claim, key)
        except IntegrityError:
            # The same claim came twice concurrently, and the other one has stored its lease.
            return self._claim_once(claim, key)

    def _claim_once(self, claim: Claim, key: str | None) -> dict[str, Any] | None:
        with self.database.read() as transaction:
            if key is not None and (lease := _find_lease(transaction, claim.worker.id, key)) is not None:
                return lease.answer
            statement = STUDIES_WITH_WORK if claim.study is None else STUDY_WITH_WORK
            wanted = {"tasks": task_names(claim), "foldable": _foldable(claim), "study": claim.study}
            candidates = list(transaction.connection.execute(statement, wanted).scalars())
        for study_id in candidates:
            if (answer := self._claim_from(study_id, claim, key)) is not None:
                return answer
        return None

    def _claim_from(self, study_id: str, claim: Claim, key: str | None) -> dict[str, Any] | None:
        """A lease from this study. If its search raises an error, the study fails, and the claim tries the next one."""
        what = "no schedule could be chosen for the next trial"
        return contained(self.database, study_id, what, lambda: self._lease_or_ask(study_id, claim, key))

    def _lease_or_ask(self, study_id: str, claim: Claim, key: str | None) -> dict[str, Any] | None:
        outcome = _Outcome(is_outdated=True)
        if not self._must_ask(study_id, claim):
            outcome = self._lease_from(study_id, claim, key, None)
        if not outcome.is_outdated:
            return outcome.lease
        with self.searches.turn(study_id) as is_ours:
            for race in range(MOST_RACES):
                asked = self._ask(study_id, claim, quickly=race > 0) if is_ours else None
                outcome = self._lease_from(study_id, claim, key, asked)
                if not outcome.is_outdated or not is_ours:
                    break
        return outcome.lease

    def _must_ask(self, study_id: str, claim: Claim) -> bool:
        with self.database.read() as transaction:
            study = transaction.session.get(StudyRow, study_id)
            return study is not None and _count_to_ask(transaction, study, claim) > 0

    def _ask(self, study_id: str, claim: Claim, *, quickly: bool) -> Asked | None:
        """Choose the next schedules before taking the study's lock, for which others wait. Needs the search's turn."""
        with self.database.read() as transaction:
            study = transaction.session.get(StudyRow, study_id)
            if study is None or (count := _count_to_ask(transaction, study, claim)) == 0:
                return None
            searcher, first = self.searches.synced(transaction, study), study.next_number
        return self.searches.ask(searcher, first, count, quickly=quickly)

    def _lease_from(self, study_id: str, claim: Claim, key: str | None, asked: Asked | None) -> _Outcome:
        try:
            with self.database.write() as transaction:
                outcome = self._lease_under_lock(transaction, study_id, claim, key, asked)
        except BaseException:
            self.searches.forget(study_id)  # its state assumes that the trials were created
            raise
        if asked is not None:
            asked.give_back(asked.first + outcome.used)
        return outcome

    def _lease_under_lock(
        self, transaction: Transaction, study_id: str, claim: Claim, key: str | None, asked: Asked | None
    ) -> _Outcome:
        study = transaction.lock_study(study_id)
        if study is None or study.state not in CLAIMABLE_STATES:
            return _Outcome()
        if study.state in ASKING_STATES and has_rules(study):
            advance(transaction, study)  # its time limit may have passed
            if study.state not in CLAIMABLE_STATES:
                return _Outcome()
        room = _room(transaction, study, claim)
        waiting = {"study": study.id, "room": room}
        trials = list(transaction.session.execute(WAITING_TRIALS, waiting).scalars()) if room > 0 else []
        wanted = _still_to_ask(transaction, study, room - len(trials))
        fitting = asked.suggestions[:wanted] if asked is not None and asked.first == study.next_number else []
        if not trials and wanted > 0 and not fitting:
            return _Outcome(is_outdated=True)
        new = create_trials(transaction, study, fitting)
        trials += expand_evaluations(transaction, study, new)[: room - len(trials)]
        if not trials:
            return _Outcome()
        lease = self._lease(transaction, study, trials, claim, key)
        return _Outcome(lease.answer, used=len(new))

    def _lease(
        self, transaction: Transaction, study: StudyRow, trials: list[TrialRow], claim: Claim, key: str | None
    ) -> LeaseRow:
        lease = LeaseRow(
            id=self.new_id(),
            study_id=study.id,
            worker_id=claim.worker.id,
            idempotency_key=key,
            is_open=True,
            created_at=transaction.now,
            expires_at=transaction.now + self.terms.duration,
        )
        for trial in trials:
            trial.state = "RUNNING"
            trial.attempt += 1
            trial.lease_id = lease.id
            trial.worker_id = claim.worker.id
            trial.started_at = trial.started_at or transaction.now
        if study.state == "QUEUED":
            study.state = "RUNNING"
            study.started_at = study.started_at or transaction.now
        bump_revision(study, *trials, *start_evaluated_trials(transaction, study, trials))
        lease.answer = self._answer(study, trials, lease)
        transaction.session.add(lease)
        numbers = [trial.number for trial in trials]
        log.info("lease_granted", study=study.id, lease=lease.id, worker=claim.worker.name, trials=numbers)
        return lease

    def _answer(self, study: StudyRow, trials: list[TrialRow], lease: LeaseRow) -> dict[str, Any]:
        return Lease(
            lease_id=lease.id,
            expires_at=lease.expires_at,
            beat_seconds=self.terms.beat_seconds,
            study=LeasedStudy(study_id=study.id, task=study.spec_document["task"], objective=_objective(study)),
            trials=[_leased(study, trial) for trial in trials],
        ).model_dump(mode="json")


def _room(transaction: Transaction, study: StudyRow, claim: Claim) -> int:
    """How many trainings the claim may get. Needs flushed rows."""
    room = study.parallel - count_open(transaction, study.id, "RUNNING")
    if room <= 0:
        return 0
    if claim.max_trials > 1:
        room = fair_share(transaction, study, claim.worker.id, room)
    return min(room, claim.max_trials)


def _count_to_ask(transaction: Transaction, study: StudyRow, claim: Claim) -> int:
    """How many trials to ask the search for; an estimate made without the study's lock."""
    if study.state not in ASKING_STATES:
        return 0
    room = _room(transaction, study, claim)
    return _still_to_ask(transaction, study, room - count_open(transaction, study.id, "WAITING"))


def _still_to_ask(transaction: Transaction, study: StudyRow, room: int) -> int:
    """How many trials to ask the search for, to fill the room that waiting trials leave. Needs flushed rows."""
    if room <= 0 or study.state not in ASKING_STATES or study.is_sweeping:
        return 0
    wanted = min(math.ceil(room / trainings_each(study)), study.budget_trials - study.trials_created)
    return affordable(transaction, study, max(0, wanted))


def _objective(study: StudyRow) -> dict[str, Any]:
    """The study's objective as a worker can measure it. The server counts steps to a target itself."""
    objective: dict[str, Any] = study.spec_document["objective"]
    metric, direction = study.spec.objective.reported
    return {**objective, "metric": metric, "direction": direction}


def _leased(study: StudyRow, trial: TrialRow) -> LeasedTrial:
    return LeasedTrial.model_validate(
        {
            "trial": trial.id,
            "number": trial.number,
            "attempt": trial.attempt,
            "purpose": trial.purpose,
            "seed": trial.seed,
            "schedule": trial.schedule,
            "horizon_fraction": trial.horizon_fraction,
            **(sweep_length(study) if trial.purpose == "range_test" else {}),
            "checkpoint": trial.checkpoint,
            "fold": None if trial.fold is None else {"index": trial.fold, "count": study.folds},
        }
    )


def _find_lease(transaction: Transaction, worker_id: str, key: str) -> LeaseRow | None:
    return transaction.session.execute(LEASE_OF_KEY, {"worker": worker_id, "key": key}).scalar_one_or_none()


def task_names(claim: Claim) -> list[str]:
    return [task if isinstance(task, str) else task.name for task in claim.worker.tasks]


def _foldable(claim: Claim) -> list[str]:
    """The tasks that the worker can train on folds."""
    return [task.name for task in claim.worker.tasks if not isinstance(task, str) and task.folds]

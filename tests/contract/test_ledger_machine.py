"""The ledger behaves like a model of it under any order of calls, lost responses and dead workers.

The machine plays workers, users and the clock. What it believes is simple: who holds what, which
results were acknowledged, which reports. After every move the tables must agree with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import fmean
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from sqlalchemy import delete, select

from lehr.errors import ConflictError, LostLeaseError
from lehr.wire.leases import Claim, FinishBatch, Renewal, ReportBatch
from lehr.wire.studies import StudySpec
from service.ledger.lifecycle import MAX_LOSSES
from service.ledger.lost_leases import sweep
from service.ledger.shares import WAITING_SECONDS
from service.services import Services
from service.store.tables import Base, LeaseRow, ReportRow, StudyRow, TrialRow, WorkerRow
from tests.support.ledgers import LEASE_SECONDS, FakeClock, settings_for, study_spec

FINISHED = ("COMPLETED", "PRUNED", "DIVERGED", "FAILED", "CANCELLED")
FOLDABLE = {"name": "digits", "params_schema": None, "metrics": ["val_accuracy"], "folds": True}
WAITING = timedelta(seconds=WAITING_SECONDS)
RESULTS = st.sampled_from(["COMPLETED", "COMPLETED", "COMPLETED", "PRUNED", "DIVERGED", "FAILED"])


@dataclass
class Held:
    """A lease as its worker knows it."""

    worker: str
    key: str
    answer: dict[str, Any]

    @property
    def trials(self) -> list[dict[str, Any]]:
        return [{"trial": trial["trial"], "attempt": trial["attempt"]} for trial in self.answer["trials"]]


@dataclass
class Believed:
    """What the machine knows must be true."""

    results: dict[str, tuple[str, float | None]] = field(default_factory=dict)
    reports: dict[tuple[str, int], float] = field(default_factory=dict)
    losses: dict[str, int] = field(default_factory=dict)


class LedgerMachine(RuleBasedStateMachine):
    open_services: Callable[[FakeClock], Services]
    leases = Bundle("leases")
    studies = Bundle("studies")

    @initialize()
    def start(self) -> None:
        self.clock = FakeClock()
        self.services = type(self).open_services(self.clock)
        self.believed = Believed()
        self.claims = 0

    @rule(
        target=studies,
        trials=st.integers(1, 5),
        parallel=st.integers(1, 4),
        confirm=st.sampled_from([None, {"top": 1, "seeds": 2}]),
        priority=st.integers(0, 1),
        evaluated=st.sampled_from(
            [
                ({}, "none"),
                ({}, "median"),
                ({"folds": 2}, "none"),
                ({"folds": 2, "seeds": 2}, "wilcoxon"),
                ({"seeds": 4}, "wilcoxon"),
            ]
        ),
    )
    def submit(self, trials: int, parallel: int, confirm: Any, priority: int, evaluated: tuple[Any, str]) -> str:
        evaluations, pruner = evaluated
        spec = study_spec(
            objective={"metric": "val_accuracy", "direction": "maximize", **evaluations},
            budget={"trials": trials, "parallel": parallel},
            confirm=confirm,
            priority=priority,
            pruner={"name": pruner},
        )
        key = f"study-{self.clock.time}-{trials}-{parallel}"
        first = self.services.studies.create(StudySpec.model_validate(spec), None)
        self.clock.advance(1)
        again = self.services.studies.create(StudySpec.model_validate(spec), f"{key}-{first}")
        assert self.services.studies.create(StudySpec.model_validate(spec), f"{key}-{first}") == again
        self.services.studies.cancel(again)
        self._note_cancelled(again)
        return first

    @rule(
        target=leases,
        worker=st.sampled_from(["w-1", "w-2"]),
        max_trials=st.integers(1, 4),
        reply_is_lost=st.booleans(),
    )
    def claim(self, worker: str, max_trials: int, reply_is_lost: bool) -> Any:
        self.claims += 1
        before = {study.id: self._to_be_had(study) for study in self._rows(StudyRow)}
        held_before = [row for row in self._rows(TrialRow) if row.state == "RUNNING"]
        held = self._claim(worker, max_trials, f"claim-{self.claims}", reply_is_lost=reply_is_lost)
        if held is None:
            return multiple()
        self._check_share(held, max_trials, before[held.answer["study"]["study_id"]], held_before)
        return held

    @rule(held=leases)
    def repeat_a_claim(self, held: Held) -> None:
        again = self._claim(held.worker, 1, held.key, reply_is_lost=False)
        assert again is not None
        assert again.answer == held.answer

    @rule(held=leases)
    def renew(self, held: Held) -> None:
        renewal = Renewal.model_validate({"trials": held.trials})
        self._speak(held, lambda: self.services.heartbeats.renew(held.answer["lease_id"], renewal))

    @rule(held=leases, step=st.integers(0, 3), value=st.floats(0, 1))
    def report(self, held: Held, step: int, value: float) -> None:
        row = {"step": step, "epoch": None, "lr": 0.1, "train_loss": None, "metrics": {"val_accuracy": value}}
        entries = [{**trial, "horizon_steps": 4, "reports": [row]} for trial in held.trials]
        heard = self._held_now(held)
        batch = ReportBatch.model_validate({"trials": entries})
        answer = self._speak(held, lambda: self.services.heartbeats.report(held.answer["lease_id"], batch))
        if answer is not None:
            for trial in heard:
                assert answer.trials[trial] in ("continue", "prune")
                self.believed.reports[trial, step] = value

    @rule(held=leases, state=RESULTS, value=st.floats(0, 1), only_first=st.booleans(), reply_is_lost=st.booleans())
    def finish(self, held: Held, state: str, value: float, only_first: bool, reply_is_lost: bool) -> None:
        trials = held.trials[:1] if only_first else held.trials
        counted = value if state in ("COMPLETED", "PRUNED") else None
        heard = self._held_now(held)
        batch = FinishBatch.model_validate(
            {"trials": [{**trial, "state": state, "value": counted} for trial in trials]}
        )
        answer = self._speak(held, lambda: self.services.finishes.finish(held.answer["lease_id"], batch), trials)
        for trial in trials:
            if answer is not None and trial["trial"] in heard:
                self.believed.results[trial["trial"]] = (state, counted)
        self._note_decided()
        self._note_early_end(held)
        if answer is not None and reply_is_lost:
            assert self.services.finishes.finish(held.answer["lease_id"], batch) == answer

    @rule(held=leases)
    def release(self, held: Held) -> None:
        renewal = Renewal.model_validate({"trials": held.trials})
        heard = self._held_now(held)
        answer = self._speak(held, lambda: self.services.heartbeats.release(held.answer["lease_id"], renewal))
        if answer is not None:
            assert all(answer.trials[trial] == "done" for trial in heard)

    @rule(seconds=st.sampled_from([1.0, LEASE_SECONDS / 2, LEASE_SECONDS + 1]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for row in self._rows(TrialRow):
            lease = next((one for one in self._rows(LeaseRow) if one.id == row.lease_id), None)
            if row.state == "RUNNING" and lease is not None and lease.expires_at < self.clock.time:
                lost = self.believed.losses[row.id] = self.believed.losses.get(row.id, 0) + 1
                if lost > MAX_LOSSES:
                    self.believed.results[row.id] = ("FAILED", None)
        sweep(self.services.database)
        self._note_decided()

    @rule(study=studies, verb=st.sampled_from(["pause", "resume", "stop"]))
    def steer(self, study: str, verb: str) -> None:
        before = {row.id: row.state for row in self._rows(TrialRow) if row.study_id == study}
        try:
            getattr(self.services.studies, verb)(study)
        except ConflictError:
            return
        if verb == "stop":
            for row in self._rows(TrialRow):
                if row.state == "CANCELLED" and before.get(row.id) == "WAITING":
                    self.believed.results[row.id] = ("CANCELLED", None)

    @rule(study=consumes(studies))
    def cancel(self, study: str) -> None:
        try:
            self.services.studies.cancel(study)
        except ConflictError:
            return
        self._note_cancelled(study)

    @rule()
    def the_server_restarts(self) -> None:
        self.services.database.close()
        self.services = type(self).open_services(self.clock)

    @invariant()
    def budgets_are_exact(self) -> None:
        for study in self._rows(StudyRow):
            trials = [row for row in self._rows(TrialRow) if row.study_id == study.id]
            searched = [row for row in trials if row.purpose == "search"]
            assert len(searched) == study.trials_created <= study.budget_trials
            assert sum(row.state == "RUNNING" and row.evaluations is None for row in trials) <= study.parallel
            assert sorted(row.number for row in trials) == list(range(len(trials)))
            assert all(row.revision <= study.revision for row in trials)

    @invariant()
    def every_result_counts_once_and_for_ever(self) -> None:
        settled = {row.id: (row.state, row.value) for row in self._rows(TrialRow) if row.state in FINISHED}
        assert settled == self.believed.results

    @invariant()
    def a_search_trial_is_open_while_one_of_its_trainings_is(self) -> None:
        rows = self._rows(TrialRow)
        for trial in (row for row in rows if row.evaluations is not None):
            trainings = [row for row in rows if (row.study_id, row.evaluates) == (trial.study_id, trial.number)]
            assert len(trainings) == trial.evaluations
            assert trial.lease_id is None
            assert (trial.state in FINISHED) == all(row.state in FINISHED for row in trainings)
            assert trial.state != "WAITING" or {row.state for row in trainings} == {"WAITING"}

    @invariant()
    def no_acknowledged_report_is_lost(self) -> None:
        kept = {(row.trial_id, row.step): row.metrics["val_accuracy"] for row in self._rows(ReportRow)}
        assert kept == self.believed.reports

    def teardown(self) -> None:
        if not hasattr(self, "services"):
            return
        for study in self._rows(StudyRow):
            if study.state == "PAUSED":
                self.services.studies.resume(study.id)
        self.clock.advance(LEASE_SECONDS + 1)
        sweep(self.services.database)
        for _ in range(200):
            held = self._claim("w-last", 4, None, reply_is_lost=False)
            if held is None:
                break
            batch = FinishBatch.model_validate(
                {"trials": [{**trial, "state": "COMPLETED", "value": 0.5} for trial in held.trials]}
            )
            self.services.finishes.finish(held.answer["lease_id"], batch)
        for study in self._rows(StudyRow):
            assert study.state in ("COMPLETED", "CANCELLED", "FAILED")
            trials = [row for row in self._rows(TrialRow) if row.study_id == study.id]
            assert all(row.state in FINISHED for row in trials)
            if study.state == "COMPLETED" and study.reason is None and study.spec.confirm is not None:
                assert {row.seed for row in trials if row.confirms is not None}
        self.services.database.close()

    def _claim(self, worker: str, max_trials: int, key: str | None, *, reply_is_lost: bool) -> Held | None:
        claim = Claim.model_validate(
            {
                "worker": {"id": worker, "name": worker, "device": "cpu", "tasks": [FOLDABLE], "labels": {}},
                "max_trials": max_trials,
            }
        )
        self.services.fleet.see(claim.worker)
        answer = self.services.claims.claim(claim, key)
        if answer is not None and reply_is_lost:
            assert self.services.claims.claim(claim, key) == answer
        return None if answer is None else Held(worker, key or "", answer)

    def _to_be_had(self, study: StudyRow) -> int:
        """How many trials of the study could be leased at once now."""
        trainings = [row for row in self._rows(TrialRow) if row.study_id == study.id and row.evaluations is None]
        free = study.parallel - sum(row.state == "RUNNING" for row in trainings)
        asks = study.budget_trials - study.trials_created if study.state in ("QUEUED", "RUNNING") else 0
        each = study.spec.objective.evaluations
        left: int = sum(row.state == "WAITING" for row in trainings) + asks * each
        return min(int(free), left)

    def _check_share(self, held: Held, most: int, had: int, held_before: list[TrialRow]) -> None:
        """Alone a worker is given what it asks for; beside one that waits, its part of what is left."""
        given = len(held.answer["trials"])
        seen = [row.id for row in self._rows(WorkerRow) if row.last_seen_at >= self.clock.time - WAITING]
        others = [name for name in seen if name not in {held.worker, *(row.worker_id for row in held_before)}]
        assert 1 <= given <= min(most, had)
        if not others:
            assert given == min(most, had)
            return
        mine = sum(
            row.worker_id == held.worker and row.study_id == held.answer["study"]["study_id"] for row in held_before
        )
        left = had - given
        # Either it asked for less, or it holds as many as are left for each who waits, or one more than it would.
        assert given in (most, 1) or 0 <= mine + given - left / len(others) <= 1 + 1 / len(others)

    def _speak(self, held: Held, call: Callable[[], Any], trials: list[dict[str, Any]] | None = None) -> Any:
        """Make a call on a lease; a lost one must leave every table as it was."""
        before = self._snapshot()
        known = {row.id: row for row in self._rows(TrialRow)}
        named = trials or held.trials
        is_mine = [
            (row := known.get(trial["trial"])) is not None
            and row.lease_id == held.answer["lease_id"]
            and row.attempt == trial["attempt"]
            for trial in named
        ]
        try:
            answer = call()
        except LostLeaseError:
            assert not any(is_mine)
            assert self._snapshot() == before
            return None
        assert any(is_mine)
        for trial, mine in zip(named, is_mine, strict=True):
            assert (answer.trials[trial["trial"]] == "lost") == (not mine)
        return answer

    def _held_now(self, held: Held) -> set[str]:
        mine = {(trial["trial"], trial["attempt"]) for trial in held.trials}
        return {
            row.id
            for row in self._rows(TrialRow)
            if row.state == "RUNNING" and row.lease_id == held.answer["lease_id"] and (row.id, row.attempt) in mine
        }

    def _note_decided(self) -> None:
        """Search trials end with the training that decides them, and their other trainings with them."""
        rows = self._rows(TrialRow)
        for trial in (row for row in rows if row.evaluations is not None and row.id not in self.believed.results):
            trainings = [row for row in rows if (row.study_id, row.evaluates) == (trial.study_id, trial.number)]
            ended = [self.believed.results[row.id] for row in trainings if row.id in self.believed.results]
            values = [value for state, value in ended if state == "COMPLETED" and value is not None]
            bad = [state for state, _ in ended if state != "COMPLETED"]
            mean = fmean(values) if values else None
            if bad:
                self.believed.results[trial.id] = (bad[0], mean if bad[0] == "PRUNED" else None)
            elif len(values) == trial.evaluations:
                self.believed.results[trial.id] = ("COMPLETED", mean)
            elif trial.state == "PRUNED":  # by the Wilcoxon test, which never tells before the fourth pair
                assert len(values) >= 4
                self.believed.results[trial.id] = ("PRUNED", mean)
            else:
                continue
            for row in trainings:
                self.believed.results.setdefault(row.id, ("CANCELLED", None))

    def _note_early_end(self, held: Held) -> None:
        """A study whose first trials all failed ends, and its open trials with it."""
        study = next(row for row in self._rows(StudyRow) if row.id == held.answer["study"]["study_id"])
        if study.state == "FAILED" and "all failed" in (study.reason or ""):
            self._note_cancelled(study.id)

    def _note_cancelled(self, study: str) -> None:
        for row in self._rows(TrialRow):
            if row.study_id == study and row.id not in self.believed.results:
                assert row.state == "CANCELLED"
                self.believed.results[row.id] = ("CANCELLED", None)

    def _rows(self, table: type[Any]) -> list[Any]:
        with self.services.database.read() as transaction:
            return list(transaction.session.execute(select(table)).scalars())

    def _snapshot(self) -> list[list[tuple[Any, ...]]]:
        with self.services.database.read() as transaction:
            return [
                sorted((tuple(row) for row in transaction.session.execute(select(*table.__table__.columns))), key=repr)
                for table in (StudyRow, TrialRow, LeaseRow, ReportRow)
            ]


@pytest.mark.timeout(300)
def test_the_ledger_keeps_its_rules_whatever_happens(database_url: str) -> None:
    def open_services(clock: FakeClock) -> Services:
        services = Services.of(settings_for(database_url), clock)
        if clock.time == FakeClock().time:  # a new run of the machine: empty tables
            with services.database.write() as transaction:
                for table in reversed(Base.metadata.sorted_tables):
                    transaction.session.execute(delete(table))
        return services

    machine = type("Machine", (LedgerMachine,), {"open_services": staticmethod(open_services)})
    run_machine(
        machine,
        settings=settings(
            max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )

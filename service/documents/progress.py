"""Computes a study's progress and estimates the time left."""

from __future__ import annotations

from lehr.wire.studies import FINISHED_STUDY_STATES, Progress
from lehr.wire.trials import FINISHED_TRIAL_STATES
from service.documents.best import plan_of
from service.ledger.lifecycle import trainings_each
from service.store.database import Transaction
from service.store.tables import StudyRow, TrialRow
from service.store.trials import TRIAL_STATES, count_by_state


def progress(study: StudyRow, counts: dict[str, int]) -> Progress:
    """A study's progress. The estimate of the time left assumes that future trainings take as long as finished ones."""
    finished = sum(counts.get(state, 0) for state in FINISHED_TRIAL_STATES)
    planned = _planned(study, counts)
    trained = finished - counts.get("CANCELLED", 0)
    eta = None
    if study.state in FINISHED_STUDY_STATES:
        eta = 0.0
    elif trained > 0:
        eta = study.trained_seconds / trained * (planned - finished) / max(1, counts.get("RUNNING", 0))
    is_over = study.state in FINISHED_STUDY_STATES
    return Progress(
        trials={state: counts.get(state, 0) for state in TRIAL_STATES},
        planned=planned,
        finished=finished,
        fraction=1.0 if is_over else min(1.0, finished / planned if planned else 0.0),
        eta_seconds=eta,
    )


def _planned(study: StudyRow, counts: dict[str, int]) -> int:
    """The number of all trainings: the budget plus the confirmation (its maximum, until the race has ended)."""
    known = sum(counts.values())
    if study.state in FINISHED_STUDY_STATES:
        return known
    plan = plan_of(study)
    if plan is not None:
        return known + plan.runs_to_come
    search = trainings_each(study) * (study.trials_created if study.state == "STOPPING" else study.budget_trials)
    spec = study.spec
    measured = 1 + spec.baseline.constant + len(spec.baseline.schedules)
    sweeps = spec.range_test.seeds if spec.range_test else 0
    return search + sweeps + ((spec.confirm.top - 1 + measured) * spec.confirm.seeds if spec.confirm else 0)


def count_trainings(transaction: Transaction, study_ids: list[str]) -> dict[str, dict[str, int]]:
    """The number of trainings by study and state."""
    return count_by_state(transaction, study_ids, TrialRow.evaluations.is_(None))


def unknown_progress(counts: dict[str, int]) -> Progress:
    """The progress of a study whose row cannot be read in full, without a plan."""
    trials = {state: counts.get(state, 0) for state in TRIAL_STATES}
    known = sum(trials.values())
    finished = sum(trials[state] for state in FINISHED_TRIAL_STATES)
    return Progress(trials=trials, planned=known, finished=finished, fraction=0.0, eta_seconds=None)

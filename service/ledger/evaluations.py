"""Evaluates search trials on several seeds or folds: creates their trainings, and derives their results from them.

Each training is a trial in the ledger like any other. The search trial itself is never leased: it is WAITING until its
first training starts, then RUNNING, and it ends with the training that decides its result. Its remaining trainings are
then cancelled, so it is open exactly as long as one of them is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import structlog
from sqlalchemy import bindparam, select

from service.answer.constraints import is_broken
from service.answer.statistics import mean_of, summarise
from service.ledger.constraint_results import judge_together
from service.ledger.lifecycle import settle, trainings_each
from service.search.observations import as_loss
from service.search.registry import evaluation_pruner
from service.search.searcher_cache import new_trial
from service.store.database import Transaction
from service.store.seeds import evaluation_seed
from service.store.tables import StudyRow, TrialRow
from service.store.trials import OPEN_TRIAL_STATES, best_completed

EVALUATIONS = (
    select(TrialRow)
    .where(TrialRow.study_id == bindparam("study"), TrialRow.evaluates == bindparam("number"))
    .order_by(TrialRow.number)
)

BY_NUMBER = select(TrialRow).where(
    TrialRow.study_id == bindparam("study"), TrialRow.number.in_(bindparam("numbers", expanding=True))
)

log = structlog.get_logger("lehr.ledger")


def expand_evaluations(transaction: Transaction, study: StudyRow, trials: Sequence[TrialRow]) -> list[TrialRow]:
    """The trainings of these new search trials: the trials themselves, or their evaluations, which it creates.

    Evaluations are ordered by fold, then by seed.
    """
    count = trainings_each(study)
    if count == 1:
        return list(trials)
    created = [_evaluation(study, trial, index, transaction.now) for trial in trials for index in range(count)]
    for trial in trials:
        trial.evaluations, trial.evaluated = count, 0
    transaction.session.add_all(created)
    return created


def _evaluation(study: StudyRow, trial: TrialRow, index: int, now: datetime) -> TrialRow:
    evaluation = new_trial(study, dict(trial.schedule), purpose="evaluation", origin=trial.origin)
    evaluation.evaluates = trial.number
    evaluation.fold = index // study.spec.objective.seeds if study.folds else None
    evaluation.queued_at = now
    if evaluation_pruner(study.spec.pruner.name) is not None:
        # It compares trials in pairs of evaluations, which have less noise if a pair shares its seed.
        evaluation.seed = evaluation_seed(study.spec.sampler.seed, index)
    return evaluation


def start_evaluated_trials(transaction: Transaction, study: StudyRow, leased: Iterable[TrialRow]) -> list[TrialRow]:
    """Mark as RUNNING the search trials that start with these trainings, and return them."""
    started = [trial for trial in _evaluated(transaction, study, leased) if trial.state == "WAITING"]
    for trial in started:
        trial.state = "RUNNING"
        trial.started_at = trial.started_at or transaction.now
    return started


def settle_evaluated_trials(transaction: Transaction, study: StudyRow, ended: Iterable[TrialRow]) -> list[TrialRow]:
    """Settle the search trials that these trainings decide, and cancel their open trainings; returns all changed rows.

    Needs the study's lock, and the trainings settled.
    """
    changed: list[TrialRow] = []
    for trial in _evaluated(transaction, study, ended):
        if trial.state in OPEN_TRIAL_STATES:
            changed += _settle(transaction, study, trial)
    return changed


def _settle(transaction: Transaction, study: StudyRow, trial: TrialRow) -> list[TrialRow]:
    evaluations = _evaluations(transaction, study, trial.number)
    completed = [evaluation for evaluation in evaluations if evaluation.state == "COMPLETED"]
    values = [evaluation.value for evaluation in completed if evaluation.value is not None]
    summary = summarise(values)
    trial.evaluated = len(values)
    trial.std = summary.std if summary else None
    mean = mean_of(values) if values else None
    # The first training that ended otherwise decides the trial's state, whatever the others do.
    failed = next(
        (training for training in evaluations if training.state not in (*OPEN_TRIAL_STATES, "COMPLETED")), None
    )
    if failed is not None:
        value = mean if failed.state == "PRUNED" else None
        settle(transaction, study, trial, failed.state, value=value, error=failed.error)
    elif len(values) == len(evaluations):
        judge_together(study, trial, evaluations)
        settle(transaction, study, trial, "COMPLETED", value=mean)
    elif _is_hopeless(transaction, study, evaluations):
        settle(transaction, study, trial, "PRUNED", value=mean)
        log.info("trial_pruned", study=study.id, number=trial.number, evaluated=len(values))
    if trial.state in OPEN_TRIAL_STATES:
        return [trial]
    remaining = [evaluation for evaluation in evaluations if evaluation.state in OPEN_TRIAL_STATES]
    for evaluation in remaining:
        settle(transaction, study, evaluation, "CANCELLED")
    return [trial, *remaining]


def _is_hopeless(transaction: Transaction, study: StudyRow, evaluations: Sequence[TrialRow]) -> bool:
    pruner = evaluation_pruner(study.spec.pruner.name)
    if pruner is None:
        return False
    best = _best(transaction, study)
    # Without a best trial that keeps the constraints there is no comparison: a worse value may be the better trial.
    return best is not None and pruner.is_hopeless(
        _losses(study, evaluations), _losses(study, _evaluations(transaction, study, best))
    )


def _losses(study: StudyRow, evaluations: Sequence[TrialRow]) -> dict[int, float]:
    direction = study.spec.objective.direction
    return {
        index: as_loss(evaluation.value, direction)
        for index, evaluation in enumerate(evaluations)
        if evaluation.state == "COMPLETED"
    }


def _best(transaction: Transaction, study: StudyRow) -> int | None:
    """The number of the best search trial so far; None if no trial keeps the constraints."""
    transaction.flush()
    best = best_completed(transaction, study)
    return None if best is None or is_broken(best.violation) else best.number


def _evaluations(transaction: Transaction, study: StudyRow, number: int) -> list[TrialRow]:
    transaction.flush()
    return list(transaction.session.execute(EVALUATIONS, {"study": study.id, "number": number}).scalars())


def _evaluated(transaction: Transaction, study: StudyRow, trainings: Iterable[TrialRow]) -> list[TrialRow]:
    """The search trials to which these trainings belong, without duplicates."""
    numbers = sorted({training.evaluates for training in trainings if training.evaluates is not None})
    if not numbers:
        return []
    transaction.flush()
    return list(transaction.session.execute(BY_NUMBER, {"study": study.id, "numbers": numbers}).scalars())

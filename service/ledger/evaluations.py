"""Search trials that are evaluated several times: their trainings, and how their result follows from these.

Each training is a trial of the ledger like any other. The search trial itself is never leased: it is WAITING until
a training of it has begun, RUNNING then, and it ends together with the training that decides it. Its open trainings
are cancelled at that moment, so it is open for exactly as long as one of them is.
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
from service.search.searcher_cache import new_trial
from service.search.wilcoxon import is_hopeless
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
    """What is to be trained for these new search trials: themselves, or their evaluations, which are created.

    Fold by fold, and seed by seed within each.
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
    one = new_trial(study, dict(trial.schedule), purpose="evaluation", origin=trial.origin)
    one.evaluates = trial.number
    one.fold = index // study.spec.objective.seeds if study.folds else None
    one.queued_at = now
    if study.spec.pruner.name == "wilcoxon":
        # It compares pair by pair, which tells the more the more the two of a pair have in common.
        one.seed = evaluation_seed(study.spec.sampler.seed, index)
    return one


def start_evaluated_trials(transaction: Transaction, study: StudyRow, leased: Iterable[TrialRow]) -> list[TrialRow]:
    """The search trials that begin with these trainings."""
    begun = [trial for trial in _evaluated(transaction, study, leased) if trial.state == "WAITING"]
    for trial in begun:
        trial.state = "RUNNING"
        trial.started_at = trial.started_at or transaction.now
    return begun


def settle_evaluated_trials(transaction: Transaction, study: StudyRow, ended: Iterable[TrialRow]) -> list[TrialRow]:
    """Settle the search trials that these trainings decide, with their open trainings; returns all rows changed.

    Needs the study's lock, and the trainings settled.
    """
    changed: list[TrialRow] = []
    for trial in _evaluated(transaction, study, ended):
        if trial.state in OPEN_TRIAL_STATES:
            changed += _settle(transaction, study, trial)
    return changed


def _settle(transaction: Transaction, study: StudyRow, trial: TrialRow) -> list[TrialRow]:
    evaluations = _evaluations(transaction, study, trial.number)
    values = [one.value for one in evaluations if one.state == "COMPLETED" and one.value is not None]
    summary = summarise(values)
    trial.evaluated = len(values)
    trial.std = summary.std if summary else None
    mean = mean_of(values) if values else None
    # The first training that says so decides: none of the others can make up for it.
    failed = next((one for one in evaluations if one.state not in (*OPEN_TRIAL_STATES, "COMPLETED")), None)
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
    rest = [one for one in evaluations if one.state in OPEN_TRIAL_STATES]
    for one in rest:
        settle(transaction, study, one, "CANCELLED")
    return [trial, *rest]


def _is_hopeless(transaction: Transaction, study: StudyRow, evaluations: Sequence[TrialRow]) -> bool:
    if study.spec.pruner.name != "wilcoxon":
        return False
    best = _best(transaction, study)
    # One that breaks the constraints is no measure: who is worse, and keeps to them, is the better one.
    return best is not None and is_hopeless(
        _losses(study, evaluations), _losses(study, _evaluations(transaction, study, best))
    )


def _losses(study: StudyRow, evaluations: Sequence[TrialRow]) -> dict[int, float]:
    direction = study.spec.objective.direction
    return {index: as_loss(one.value, direction) for index, one in enumerate(evaluations) if one.state == "COMPLETED"}


def _best(transaction: Transaction, study: StudyRow) -> int | None:
    """The number of the search trial that is best so far; None where none keeps to the constraints."""
    transaction.flush()
    best = best_completed(transaction, study)
    return None if best is None or is_broken(best.violation) else best.number


def _evaluations(transaction: Transaction, study: StudyRow, number: int) -> list[TrialRow]:
    transaction.flush()
    return list(transaction.session.execute(EVALUATIONS, {"study": study.id, "number": number}).scalars())


def _evaluated(transaction: Transaction, study: StudyRow, trainings: Iterable[TrialRow]) -> list[TrialRow]:
    """The search trials that these are trainings of, each once."""
    numbers = sorted({one.evaluates for one in trainings if one.evaluates is not None})
    if not numbers:
        return []
    transaction.flush()
    return list(transaction.session.execute(BY_NUMBER, {"study": study.id, "numbers": numbers}).scalars())

"""A study's confirmation in the ledger: the race of its finalists, then the measuring of its answer."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from sqlalchemy import select

from service.answer.finalists import SearchTrial, loss
from service.answer.plan import Plan, Run
from service.database import Transaction
from service.ledger.rules import touch
from service.search.warmth import new_trial
from service.tables import StudyRow, TrialRow

log = structlog.get_logger("lehr.ledger")


def start(transaction: Transaction, study: StudyRow, trials: Sequence[SearchTrial]) -> None:
    """Plan the confirmation of a search with these trials, and enqueue its first runs. Needs the study's lock."""
    confirm, baseline = study.spec["confirm"], study.spec.get("baseline") or {"constant": True, "schedules": []}
    plan = Plan.of(
        trials,
        study.spec["objective"]["direction"],
        top=confirm["top"],
        seeds=confirm["seeds"],
        search_seed=study.spec["sampler"]["seed"],
        with_constant=baseline["constant"],
        # A study's own baselines are its first trials.
        compared=range(len(baseline["schedules"])),
    )
    study.finalists = list(plan.numbers)
    study.state = "CONFIRMING"
    log.info("study_confirming", study=study.id, finalists=study.finalists)
    _go_on(transaction, study, plan)


def proceed(transaction: Transaction, study: StudyRow) -> bool:
    """Enqueue what comes next; False when nothing does. Needs the study's lock, and no open trials."""
    if study.confirmation is None:  # it was confirmed before plans were kept
        return False
    return _go_on(transaction, study, Plan.from_json(study.confirmation))


def _go_on(transaction: Transaction, study: StudyRow, plan: Plan) -> bool:
    losses, broken = _race(transaction, study, plan)
    plan, runs = plan.next(losses, broken)
    study.confirmation = plan.to_json()
    trials = [_enqueue(transaction, study, plan, run) for run in runs]
    touch(study, *trials)
    if runs:
        log.info("confirmation_round", study=study.id, racing=plan.racing, answer=plan.answer, runs=len(runs))
    return bool(runs)


def _race(transaction: Transaction, study: StudyRow, plan: Plan) -> tuple[dict[int, dict[int, float]], set[int]]:
    """The losses of the race so far by number and seed, and who broke down on a seed that another completed."""
    query = (
        select(TrialRow.confirms, TrialRow.seed, TrialRow.state, TrialRow.value)
        .where(TrialRow.study_id == study.id, TrialRow.confirms.is_not(None))
        .order_by(TrialRow.number)
    )
    direction = study.spec["objective"]["direction"]
    losses: dict[int, dict[int, float]] = {}
    failed: list[Run] = []
    for number, seed, state, value in transaction.session.execute(query):
        if number is None or seed not in plan.race_seeds:
            continue
        if state == "COMPLETED" and value is not None:
            losses.setdefault(number, {})[seed] = loss(value, direction)
        elif state in ("DIVERGED", "FAILED"):
            failed.append(Run(number, seed))
    completed = {seed for values in losses.values() for seed in values}
    return losses, {run.number for run in failed if run.seed in completed}


def _enqueue(transaction: Transaction, study: StudyRow, plan: Plan, run: Run) -> TrialRow:
    contender = transaction.session.execute(
        select(TrialRow).where(TrialRow.study_id == study.id, TrialRow.number == run.number)
    ).scalar_one()
    is_reference = run.number != plan.answer and run.number in (plan.baseline, *plan.compared)
    purpose = "baseline" if is_reference else "confirm"
    trial = new_trial(study, dict(contender.schedule), purpose=purpose, origin="confirmation")
    trial.confirms = run.number
    trial.seed = run.seed
    trial.fold = _fold(study, plan, run.seed)
    trial.queued_at = transaction.now
    transaction.session.add(trial)
    return trial


def _fold(study: StudyRow, plan: Plan, seed: int) -> int | None:
    """The folds take turns from seed to seed, the same for all that train on it: so they stay paired."""
    if study.folds is None:
        return None
    seeds = plan.final_seeds if seed in plan.final_seeds else plan.race_seeds
    return seeds.index(seed) % study.folds

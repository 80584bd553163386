"""Runs a study's confirmation in the ledger: the race of its finalists, then the measurement of its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import select

from lehr.wire.objectives import Constraint
from lehr.wire.studies import ConfirmSpec
from service.answer.constraints import MetricMeans, mean_measured, violation
from service.answer.finalists import SearchTrial
from service.answer.plan import NOTHING_BROKEN, Plan, Run, Violations
from service.ledger.lifecycle import bump_revision
from service.ranges.bounds import searched_space
from service.search.observations import as_loss
from service.search.searcher_cache import new_trial
from service.store.database import Transaction
from service.store.tables import StudyRow, TrialRow
from service.store.trials import find_trial

log = structlog.get_logger("lehr.ledger")


def start_confirmation(
    transaction: Transaction, study: StudyRow, confirm: ConfirmSpec, trials: Sequence[SearchTrial]
) -> None:
    """Plan the confirmation of a search that has these trials, and enqueue its first runs. Needs the study's lock."""
    baseline = study.spec.baseline
    plan = Plan.of(
        trials,
        study.spec.objective.direction,
        searched_space(study).to_space(),
        top=confirm.top,
        seeds=confirm.seeds,
        search_seed=study.spec.sampler.seed,
        with_constant=baseline.constant,
        # A study's own baselines are its first trials.
        compared=range(len(baseline.schedules)),
        constrained=bool(study.spec.objective.constraints),
    )
    study.finalists = list(plan.numbers)
    study.state = "CONFIRMING"
    log.info("study_confirming", study=study.id, finalists=study.finalists)
    _next_round(transaction, study, plan)


def advance_confirmation(transaction: Transaction, study: StudyRow) -> bool:
    """Enqueue the next round; False if there is none. Needs the study's lock, and no open trials."""
    if study.confirmation is None:  # it was confirmed by a version that did not store plans
        return False
    return _next_round(transaction, study, Plan.from_json(study.confirmation))


def _next_round(transaction: Transaction, study: StudyRow, plan: Plan) -> bool:
    runs_so_far = _runs(transaction, study)
    losses, broken = _race(study, plan, runs_so_far)
    plan, runs = plan.next(losses, broken, _violations(transaction, study, plan, runs_so_far))
    study.confirmation = plan.to_json()
    trials = [_enqueue(transaction, study, plan, run) for run in runs]
    bump_revision(study, *trials)
    if runs:
        log.info("confirmation_round", study=study.id, racing=plan.racing, answer=plan.answer, runs=len(runs))
    return bool(runs)


def _runs(transaction: Transaction, study: StudyRow) -> Sequence[Any]:
    """The confirmation's trainings so far."""
    query = (
        select(TrialRow.confirms, TrialRow.seed, TrialRow.state, TrialRow.value, TrialRow.violation, TrialRow.measured)
        .where(TrialRow.study_id == study.id, TrialRow.confirms.is_not(None))
        .order_by(TrialRow.number)
    )
    return transaction.session.execute(query).all()


def _race(study: StudyRow, plan: Plan, runs: Sequence[Any]) -> tuple[dict[int, dict[int, float]], set[int]]:
    """The race's losses so far by number and seed, and the finalists that failed on a seed that another completed."""
    direction = study.spec.objective.direction
    losses: dict[int, dict[int, float]] = {}
    failed: list[Run] = []
    for run in runs:
        if run.seed not in plan.race_seeds:
            continue
        if run.state == "COMPLETED" and run.value is not None:
            loss = run.violation if plan.none_feasible else as_loss(run.value, direction)
            losses.setdefault(run.confirms, {})[run.seed] = loss
        elif run.state in ("DIVERGED", "FAILED"):
            failed.append(Run(run.confirms, run.seed))
    completed = {seed for values in losses.values() for seed in values}
    return losses, {run.number for run in failed if run.seed in completed}


def _violations(transaction: Transaction, study: StudyRow, plan: Plan, runs: Sequence[Any]) -> Violations:
    """How much the finalists violate the constraints: in the race with the search's trial, and in the measurement."""
    constraints = study.spec.objective.constraints
    if not constraints:
        return NOTHING_BROKEN
    searched = select(TrialRow.number, TrialRow.measured).where(
        TrialRow.study_id == study.id, TrialRow.number.in_(plan.numbers)
    )
    race = {number: [measured or {}] for number, measured in transaction.session.execute(searched)}
    final: dict[int, list[MetricMeans]] = {}
    for run in runs:
        if run.state == "COMPLETED":
            kind = final if run.seed in plan.final_seeds else race
            kind.setdefault(run.confirms, []).append(run.measured or {})
    return Violations(_of_means(constraints, race), _of_means(constraints, final))


def _of_means(constraints: Sequence[Constraint], measured: Mapping[int, Sequence[MetricMeans]]) -> dict[int, float]:
    means = {number: mean_measured(constraints, runs) for number, runs in measured.items()}
    return {number: violation(constraints, mean) or 0.0 for number, mean in means.items()}


def _enqueue(transaction: Transaction, study: StudyRow, plan: Plan, run: Run) -> TrialRow:
    contender = find_trial(transaction, study.id, run.number)
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
    """Each seed has a fold, in turn. It is the same for all finalists, so that their runs stay paired."""
    if study.folds is None:
        return None
    seeds = plan.final_seeds if seed in plan.final_seeds else plan.race_seeds
    return seeds.index(seed) % study.folds

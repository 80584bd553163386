"""Finds a study's best trial and its results on fresh seeds. All documents use this file for both."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import TypeAdapter
from sqlalchemy import select

from lehr.errors import ConflictError
from lehr.schedules import schedule_from_dict
from lehr.wire.objectives import Evaluations
from lehr.wire.studies import BestSoFar, StudyState
from service.answer.confirmation import Confirmed, ConfirmRun
from service.answer.constraints import is_broken
from service.answer.document import confirmation
from service.answer.finalists import SearchTrial
from service.answer.plan import Plan
from service.ledger.study_phases import as_search_trial
from service.parts import Parts
from service.store.database import Transaction
from service.store.tables import StudyRow, TrialRow
from service.store.trials import OPEN_TRIAL_STATES, best_first, is_searched

STATE: TypeAdapter[StudyState] = TypeAdapter(StudyState)


def known_state(study: StudyRow, parts: Parts) -> StudyState:
    return parts.get("state", lambda: STATE.validate_python(study.state), "FAILED")


def plan_of(study: StudyRow) -> Plan | None:
    """The plan of the study's confirmation; None before it has one."""
    return None if study.confirmation is None else Plan.from_json(study.confirmation)


def best_trial(transaction: Transaction, study: StudyRow) -> TrialRow | None:
    """The answer's trial; while the race continues, its leader; before the race, the best trial of the search.

    The best trial of the search is the COMPLETED trial with the best value among those that keep the constraints, or
    the one with the least violation if none does. Of equals, the earlier one.
    """
    query = select(TrialRow).where(TrialRow.study_id == study.id)
    plan = plan_of(study)
    if plan is not None:
        query = query.where(TrialRow.number == plan.leader)
    else:
        query = query.where(is_searched(study.id, "COMPLETED")).order_by(*best_first(study))
    return transaction.session.execute(query.limit(1)).scalar_one_or_none()


def require_best(transaction: Transaction, study: StudyRow) -> TrialRow:
    """Raises ConflictError while no trial has completed."""
    best = best_trial(transaction, study)
    if best is None:
        raise ConflictError("No trial of this study has completed yet; ask again when one has.")
    return best


def best_document(transaction: Transaction, study: StudyRow, best: TrialRow | None) -> BestSoFar | None:
    """The best trial so far with its confirmation. `best`: the study's `best_trial`."""
    if best is None or best.value is None:
        return None
    plan = plan_of(study)
    is_measured = plan is not None and plan.answer == best.number
    runs = measured_runs(transaction, study, plan).get(best.number, ()) if plan is not None and is_measured else ()
    return BestSoFar(
        trial=best.number,
        value=best.value,
        schedule=schedule_from_dict(best.schedule),
        evaluations=evaluations_of(best),
        confirmation=confirmation(Confirmed(as_search_trial(best), runs)),
    )


def nothing_feasible(study: StudyRow, best: TrialRow) -> bool:
    """Whether no trial of the search has kept the study's constraints. `best`: the study's `best_trial`."""
    plan = plan_of(study)
    return is_broken(best.violation) if plan is None else plan.none_feasible


def evaluations_of(trial: TrialRow) -> Evaluations | None:
    """The evaluations so far whose mean is a search trial's value; None if it is a single training."""
    if trial.evaluations is None:
        return None
    return Evaluations(count=trial.evaluations, completed=trial.evaluated or 0, std=trial.std)


def confirmed_trials(
    transaction: Transaction, study: StudyRow, plan: Plan, trials: Mapping[int, SearchTrial]
) -> dict[int, Confirmed]:
    """All trials that were measured on fresh seeds, the answer first. Empty while there is no answer."""
    constraints = tuple(study.spec.objective.constraints)
    runs = measured_runs(transaction, study, plan)
    return {number: Confirmed(trials[number], runs.get(number, ()), constraints) for number in plan.measured}


def measured_runs(transaction: Transaction, study: StudyRow, plan: Plan) -> dict[int, tuple[ConfirmRun, ...]]:
    """The runs of each measured search trial, only on seeds that all of them have finished, so that they compare."""
    query = (
        select(TrialRow.confirms, TrialRow.seed, TrialRow.state, TrialRow.value, TrialRow.measured)
        # The purposes let the query use an index: a search may have thousands of trials.
        .where(TrialRow.study_id == study.id, TrialRow.purpose.in_(("confirm", "baseline")))
        .where(TrialRow.confirms.is_not(None), TrialRow.seed.in_(plan.final_seeds))
        .order_by(TrialRow.number)
    )
    rows = list(transaction.session.execute(query))
    unfinished = {seed for _, seed, state, _, _ in rows if state in (*OPEN_TRIAL_STATES, "CANCELLED")}
    runs: dict[int, tuple[ConfirmRun, ...]] = {}
    for number, seed, state, value, measured in rows:
        if seed not in unfinished:
            runs[number] = (*runs.get(number, ()), ConfirmRun(seed, state, value, measured))
    return runs

"""From rows to the answer and to what stands behind it: confirmations, the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from lehr.wire.answers import Answer, Confirmation, Leaderboard, LrCurve
from service.answer.confirmation import Confirmed, ConfirmRun
from service.answer.document import MAX_POINTS, Measured, StudyFacts, answer, confirmation
from service.answer.finalists import SearchTrial
from service.answer.leaderboard import COUNTED, leaderboard
from service.answer.plan import Plan
from service.answer.recommendation import recommendation
from service.documents.studies import best_trial, convergence_document, spread
from service.ledger.lifecycle import OPEN_TRIAL_STATES
from service.ledger.study_phases import SEARCHED, as_search_trial, search_trials
from service.store.database import Transaction
from service.store.ordering import objective_of
from service.store.tables import ReportRow, StudyRow, TrialRow


def answer_document(transaction: Transaction, study: StudyRow, points: int | None) -> Answer:
    """The best schedule so far. Raises ConflictError while nothing has completed."""
    plan = _plan(study)
    trials = _trials(transaction, study, plan)
    measured = _measured(transaction, study, plan, trials) if plan is not None else None
    document = answer(_facts(study), _chosen(transaction, study, plan, trials), measured, points)
    document = document.model_copy(update={"convergence": convergence_document(study)})
    if not document.schedule.adaptive:
        return document
    lr = _recorded_rates(transaction, study, document.trial, document.schedule.start_lr)
    return document.model_copy(update={"lr": _thinned(lr, points)})


def _plan(study: StudyRow) -> Plan | None:
    return None if study.confirmation is None else Plan.from_json(study.confirmation)


def _trials(transaction: Transaction, study: StudyRow, plan: Plan | None) -> dict[int, SearchTrial]:
    found = search_trials(transaction, study, plan.numbers) if plan is not None else []
    return {trial.number: trial for trial in found}


def _chosen(
    transaction: Transaction, study: StudyRow, plan: Plan | None, trials: Mapping[int, SearchTrial]
) -> SearchTrial | None:
    """The plan's answer, or who leads the race; before it the best of the search."""
    if plan is not None:
        return trials[plan.racing[0] if plan.answer is None else plan.answer]
    best = best_trial(transaction, study)
    return next(iter(search_trials(transaction, study, [best.number])), None) if best is not None else None


def _measured(
    transaction: Transaction, study: StudyRow, plan: Plan, trials: Mapping[int, SearchTrial]
) -> Measured | None:
    if plan.answer is None:
        return None
    confirmed = _confirmed(transaction, study, plan, trials)
    return Measured(
        answer=confirmed[plan.answer],
        baseline=confirmed[plan.baseline] if plan.baseline is not None else None,
        compared=tuple(confirmed[number] for number in plan.compared if number != plan.answer),
        recommendation=recommendation(plan, trials),
        nothing_kept=plan.nothing_kept,
    )


def _recorded_rates(transaction: Transaction, study: StudyRow, number: int, first: float) -> list[tuple[int, float]]:
    """The rates that a trial's training has had: at the first step and at each report's."""
    query = (
        select(ReportRow.step, ReportRow.lr)
        .join(TrialRow, TrialRow.id == ReportRow.trial_id)
        .where(TrialRow.study_id == study.id, TrialRow.number == number)
    )
    recorded = dict(transaction.session.execute(query).all())
    return sorted({0: first, **recorded}.items())


def _thinned(lr: list[tuple[int, float]], points: int | None) -> LrCurve:
    kept = spread(lr, MAX_POINTS if points is None else points)
    return LrCurve(step=[step for step, _ in kept], value=[rate for _, rate in kept])


def _confirmed(
    transaction: Transaction, study: StudyRow, plan: Plan, trials: Mapping[int, SearchTrial]
) -> dict[int, Confirmed]:
    """The runs on the answer's seeds that all measured have been through, so that equal numbers are compared."""
    query = (
        select(TrialRow.confirms, TrialRow.seed, TrialRow.state, TrialRow.value, TrialRow.measured)
        .where(TrialRow.study_id == study.id, TrialRow.confirms.is_not(None), TrialRow.seed.in_(plan.final_seeds))
        .order_by(TrialRow.number)
    )
    runs = list(transaction.session.execute(query))
    unfinished = {seed for _, seed, state, _, _ in runs if state in (*OPEN_TRIAL_STATES, "CANCELLED")}
    constraints = tuple(objective_of(study).constraints)
    return {
        number: Confirmed(
            trials[number],
            tuple(
                ConfirmRun(seed, state, value, measured)
                for confirms, seed, state, value, measured in runs
                if confirms == number and seed not in unfinished
            ),
            constraints,
        )
        for number in plan.measured
    }


def leaderboard_document(transaction: Transaction, study: StudyRow) -> Leaderboard:
    """The families of the study, with what is known so far."""
    facts, plan = _facts(study), _plan(study)
    confirmed: dict[str, Confirmation] = {}
    if plan is not None and plan.answer is not None:
        for each in _confirmed(transaction, study, plan, _trials(transaction, study, plan)).values():
            # The answer comes first: of its family it is the best.
            if (document := confirmation(each)) is not None:
                confirmed.setdefault(each.trial.schedule.family, document)
    return Leaderboard(
        study_id=facts.study_id,
        state=facts.state,
        metric=facts.metric,
        direction=facts.direction,
        items=leaderboard(
            _ended_trials(transaction, study), study.spec["space"]["families"], facts.direction, confirmed
        ),
    )


def _facts(study: StudyRow) -> StudyFacts:
    spec = study.spec["objective"]
    constraints = tuple(objective_of(study).constraints)
    return StudyFacts(study.id, study.state, spec["metric"], spec["direction"], study.horizon_steps, constraints)


def _ended_trials(transaction: Transaction, study: StudyRow) -> list[SearchTrial]:
    """All search trials that ended and say something about their schedule."""
    query = (
        select(*SEARCHED)
        .where(TrialRow.study_id == study.id, TrialRow.purpose == "search", TrialRow.state.in_(COUNTED))
        .order_by(TrialRow.number)
    )
    return [as_search_trial(row) for row in transaction.session.execute(query)]

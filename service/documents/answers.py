"""Builds the answer and the leaderboard from the database's rows."""

from __future__ import annotations

from sqlalchemy import select

from lehr.wire.answers import Answer, Leaderboard, LrCurve
from lehr.wire.objectives import Confirmation
from service.answer.document import MAX_POINTS, ConfirmedResults, StudyFacts, answer, confirmation
from service.answer.finalists import SearchTrial
from service.answer.leaderboard import COUNTED, leaderboard
from service.answer.plan import Plan
from service.answer.recommendation import recommendation
from service.documents.best import confirmed_trials, known_state, plan_of, require_best
from service.documents.diagnoses import study_findings
from service.documents.fronts import answer_front
from service.documents.studies import convergence_document
from service.ledger.study_phases import as_search_trial, search_trials
from service.parts import Parts
from service.store.database import Transaction
from service.store.reports import thinned
from service.store.tables import ReportRow, StudyRow, TrialRow


def whole_answer(transaction: Transaction, study: StudyRow, points: int | None) -> Answer:
    """The answer with its diagnosis and its front. Raises ConflictError while nothing has completed."""
    parts = Parts(study.id)
    with parts.required("the answer"):
        document = answer_document(transaction, study, points, parts)
        findings = study_findings(transaction, study, parts)
        baseline = document.baseline.mean if document.baseline else None
        front = parts.get("front", lambda: answer_front(transaction, study, baseline, parts), None)
    return document.model_copy(update={"diagnosis": findings, "front": front, "warnings": parts.warnings})


def answer_document(transaction: Transaction, study: StudyRow, points: int | None, parts: Parts) -> Answer:
    """The answer so far. Raises ConflictError while no trial has completed."""
    trial = as_search_trial(require_best(transaction, study))
    measured = parts.get("confirmation", lambda: _measured(transaction, study, parts), None)
    document = answer(_facts(study, parts), trial, measured, points, parts.get)
    convergence = parts.get("convergence", lambda: convergence_document(study), None)
    document = document.model_copy(update={"convergence": convergence})
    if not document.schedule.adaptive:
        return document
    most = MAX_POINTS if points is None else points
    lr = parts.get("lr", lambda: _recorded_rates(transaction, study, document, most), None)
    return document.model_copy(update={"lr": lr})


def _measured(transaction: Transaction, study: StudyRow, parts: Parts) -> ConfirmedResults | None:
    plan = plan_of(study)
    if plan is None or plan.answer is None:
        return None
    trials = _trials(transaction, study, plan)
    confirmed = confirmed_trials(transaction, study, plan, trials)
    return ConfirmedResults(
        answer=confirmed[plan.answer],
        baseline=confirmed[plan.baseline] if plan.baseline is not None else None,
        compared=tuple(confirmed[number] for number in plan.compared if number != plan.answer),
        recommendation=parts.get("recommendation", lambda: recommendation(plan, trials), None),
        none_feasible=plan.none_feasible,
    )


def _trials(transaction: Transaction, study: StudyRow, plan: Plan) -> dict[int, SearchTrial]:
    return {trial.number: trial for trial in search_trials(transaction, study, plan.numbers)}


def _recorded_rates(transaction: Transaction, study: StudyRow, answer: Answer, points: int) -> LrCurve:
    """The rates of the answer's training at the first step and at each report, evenly thinned."""
    training = select(TrialRow.id).where(TrialRow.study_id == study.id, TrialRow.number == answer.trial)
    trials = transaction.session.execute(training).scalars().all()
    columns = (ReportRow.step, ReportRow.lr)
    recorded = transaction.session.execute(thinned(trials, max(points, MAX_POINTS), *columns)).all()
    lr = sorted({0: answer.schedule.start_lr, **dict(recorded)}.items())
    if len(lr) > points:
        lr = [lr[round(index * (len(lr) - 1) / max(1, points - 1))] for index in range(points)]
    return LrCurve(step=[step for step, _ in lr], value=[rate for _, rate in lr])


def leaderboard_document(transaction: Transaction, study: StudyRow) -> Leaderboard:
    """The leaderboard of the study's families so far."""
    parts = Parts(study.id)
    with parts.required("the leaderboard"):
        facts, plan = _facts(study, parts), plan_of(study)
        answered = None if plan is None else plan.answer
        unknown: dict[int, Confirmation | None] = {}
        standing = parts.get("confirmation", lambda: _standing(transaction, study, plan), unknown)
        trials = search_trials(transaction, study, states=COUNTED, make=parts.get)
        return Leaderboard(
            study_id=facts.study_id,
            state=facts.state,
            metric=facts.metric,
            direction=facts.direction,
            answer=answered,
            items=leaderboard(trials, study.spec.space.families, facts.direction, standing, answer=answered),
            warnings=parts.warnings,
        )


def _standing(transaction: Transaction, study: StudyRow, plan: Plan | None) -> dict[int, Confirmation | None]:
    """What the race's leader, and what was measured, came to on fresh seeds."""
    if plan is None:
        return {}
    confirmed = confirmed_trials(transaction, study, plan, _trials(transaction, study, plan))
    return {plan.leader: None, **{number: confirmation(trial) for number, trial in confirmed.items()}}


def _facts(study: StudyRow, parts: Parts) -> StudyFacts:
    spec = study.spec.objective
    constraints = tuple(study.spec.objective.constraints)
    return StudyFacts(
        study.id, known_state(study, parts), spec.metric, spec.direction, study.horizon_steps, constraints
    )

"""From rows to the answer and to what stands behind it: confirmations, the leaderboard."""

from __future__ import annotations

from sqlalchemy import select

from lehr.schedules import schedule_from_dict
from lehr.wire.studies import Answer, Confirmation, Leaderboard, LrCurve
from service.answer.confirmation import Confirmed, ConfirmRun, choose_winner
from service.answer.document import MAX_POINTS, StudyFacts, answer, confirmation
from service.answer.finalists import SearchTrial
from service.answer.leaderboard import COUNTED, leaderboard
from service.database import Transaction
from service.documents import best_trial, spread
from service.ledger.progression import search_trials
from service.ledger.rules import OPEN_TRIAL_STATES
from service.tables import ReportRow, StudyRow, TrialRow


def answer_document(transaction: Transaction, study: StudyRow, points: int | None) -> Answer:
    """The best schedule so far. Raises ConflictError while nothing has completed."""
    best = best_trial(transaction, study)
    numbers = [*(study.finalists or []), *([best.number] if best is not None else [])]
    trials = {trial.number: trial for trial in search_trials(transaction, study, numbers)}
    document = answer(_facts(study), list(trials.values()), _confirmed(transaction, study, trials), points)
    if not document.schedule.adaptive:
        return document
    lr = _recorded_rates(transaction, study, document.trial, document.schedule.start_lr)
    return document.model_copy(update={"lr": _thinned(lr, points)})


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


def _confirmed(transaction: Transaction, study: StudyRow, trials: dict[int, SearchTrial]) -> list[Confirmed]:
    """The finalists' runs on the seeds that all of them have been through, so that equal numbers are compared."""
    query = (
        select(TrialRow.confirms, TrialRow.seed, TrialRow.state, TrialRow.value)
        .where(TrialRow.study_id == study.id, TrialRow.confirms.is_not(None))
        .order_by(TrialRow.number)
    )
    runs = list(transaction.session.execute(query))
    unfinished = {seed for _, seed, state, _ in runs if state in (*OPEN_TRIAL_STATES, "CANCELLED")}
    return [
        Confirmed(
            trials[number],
            tuple(
                ConfirmRun(seed, state, value)
                for confirms, seed, state, value in runs
                if confirms == number and seed not in unfinished
            ),
        )
        for number in study.finalists or []
    ]


def leaderboard_document(transaction: Transaction, study: StudyRow) -> Leaderboard:
    """The families of the study, with what is known so far."""
    facts, trials = _facts(study), _ended_trials(transaction, study)
    finalists = {trial.number: trial for trial in trials if trial.number in (study.finalists or [])}
    confirmed: dict[str, list[Confirmed]] = {}
    for each in _confirmed(transaction, study, finalists):
        confirmed.setdefault(each.trial.schedule.family, []).append(each)
    found: dict[str, Confirmation] = {}
    for family, candidates in confirmed.items():
        winner = choose_winner(candidates, facts.direction)
        document = confirmation(winner) if winner is not None else None
        if document is not None:
            found[family] = document
    return Leaderboard(
        study_id=facts.study_id,
        state=facts.state,
        metric=facts.metric,
        direction=facts.direction,
        items=leaderboard(trials, study.spec["space"]["families"], facts.direction, found),
    )


def _facts(study: StudyRow) -> StudyFacts:
    spec = study.spec["objective"]
    return StudyFacts(study.id, study.state, spec["metric"], spec["direction"], study.horizon_steps)


def _ended_trials(transaction: Transaction, study: StudyRow) -> list[SearchTrial]:
    """All search trials that ended and say something about their schedule."""
    query = (
        select(TrialRow.number, TrialRow.schedule, TrialRow.state, TrialRow.value)
        .where(TrialRow.study_id == study.id, TrialRow.purpose == "search", TrialRow.state.in_(COUNTED))
        .order_by(TrialRow.number)
    )
    return [
        SearchTrial(number, schedule_from_dict(schedule), state, value)
        for number, schedule, state, value in transaction.session.execute(query)
    ]

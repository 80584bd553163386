"""Builds the Pareto front of a study from the database's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from statistics import fmean, median
from typing import Any

from sqlalchemy import func, or_, select

from lehr.schedules import Schedule, schedule_from_dict
from lehr.wire.front import Aim, Front, FrontTrial
from lehr.wire.objectives import Direction
from lehr.wire.trials import TrialState
from service.answer.constraints import is_broken
from service.answer.finalists import SearchTrial, is_baseline
from service.answer.pareto import pareto_front
from service.answer.sensitivity import Sensitivity
from service.documents.best import known_state
from service.parts import Parts
from service.store.database import Transaction
from service.store.reports import metric_of
from service.store.tables import ReportRow, StudyRow, TrialRow
from service.store.trials import CONCLUSIVE_STATES, best_first, is_searched

MAX_TRIALS = 500
"""How many trials' reports are read: the best by value."""
BOTH: tuple[Aim, ...] = ("steps", "rate_sensitivity")

LAST_DIGITS = 1e-12
"""Relative tolerance. SQLite may return a number with another last digit, and targets are often reported values."""


def front_document(
    transaction: Transaction, study: StudyRow, target: float, aims: Sequence[Aim], parts: Parts
) -> Front:
    """The front of the trials that keep the study's constraints, for the metric that tasks report."""
    metric, direction = study.spec.objective.reported
    trials = _best(transaction, study)
    steps = _steps(transaction, study, [row.number for row in trials], target)
    unknown: Mapping[int, float | None] = {}
    sensitivity = parts.get(
        "rate_sensitivity",
        lambda: _sensitivities(_conclusive_trials(transaction, study), study.spec.objective.direction),
        unknown,
    )

    def front_trial(row: Any) -> FrontTrial | None:
        value, needed = _value(study, row, metric), steps.get(row.number, ())
        if value is None or len(needed) != (row.evaluations or 1):  # all its trainings must reach the target
            return None
        schedule, cost = schedule_from_dict(row.schedule), sensitivity.get(row.number)
        return FrontTrial(trial=row.number, schedule=schedule, value=value, steps=fmean(needed), rate_sensitivity=cost)

    made = [parts.get("trials", partial(front_trial, row), None) for row in trials]
    reached = [trial for trial in made if trial is not None]
    return Front(
        study_id=study.id,
        state=known_state(study, parts),
        metric=metric,
        direction=direction,
        target=target,
        aims=list(aims),
        items=pareto_front(reached, direction, aims),
        reached=len(reached),
        examined=len(trials),
        warnings=parts.warnings,
    )


def answer_front(transaction: Transaction, study: StudyRow, baseline: float | None, parts: Parts) -> Front | None:
    """The front of an answer, for both aims, at `default_target`. None while no trial has completed."""
    target = default_target(transaction, study, baseline)
    if target is None:
        return None
    # The answer names what is missing of both.
    return front_document(transaction, study, target, BOTH, parts).model_copy(update={"warnings": []})


def default_target(transaction: Transaction, study: StudyRow, baseline: float | None) -> float | None:
    """The study's constraint on the metric, or else the value of the best constant schedule: its confirmed mean
    `baseline`, or before that its value in the search, or else the median. None while no trial has completed.
    """
    target = _own_target(study)
    if target is not None or baseline is not None:
        return baseline if target is None else target
    known = [row for row in _best(transaction, study) if row.value is not None]
    constants = (row.value for row in known if is_baseline(schedule_from_dict(row.schedule)))
    # Halved, because the mean of the two middle values may overflow.
    return next(constants, 2 * median(row.value / 2 for row in known) if known else None)


def _own_target(study: StudyRow) -> float | None:
    objective = study.spec.objective
    metric, direction = objective.reported
    side = "at_least" if direction == "maximize" else "at_most"
    bounds = [getattr(constraint, side) for constraint in objective.constraints if constraint.metric == metric]
    return next((bound for bound in bounds if bound is not None), None)


def _best(transaction: Transaction, study: StudyRow) -> Sequence[Any]:
    query = (
        select(
            TrialRow.number, TrialRow.schedule, TrialRow.value, TrialRow.evaluations, TrialRow.violation,
            TrialRow.measured,
        )
        .where(is_searched(study.id, "COMPLETED"))
        .order_by(*best_first(study))
        .limit(MAX_TRIALS)
    )  # fmt: skip
    return [row for row in transaction.session.execute(query) if not is_broken(row.violation)]


def _value(study: StudyRow, row: Any, metric: str) -> float | None:
    """The trial's value of the metric. If the objective counts steps, it is the value that the trial reached."""
    value: float | None = (row.measured or {}).get(metric) if study.spec.objective.counts_steps else row.value
    return value


def _steps(transaction: Transaction, study: StudyRow, numbers: Sequence[int], target: float) -> dict[int, list[int]]:
    """By search trial, for each of its trainings that reached the target: the steps up to its first report that did."""
    metric, direction = study.spec.objective.reported
    value, slack = metric_of(ReportRow.metrics, metric), LAST_DIGITS * abs(target)
    is_as_good = value >= target - slack if direction == "maximize" else value <= target + slack
    query = (
        select(TrialRow.number, TrialRow.evaluates, func.min(ReportRow.step))
        .join(ReportRow, ReportRow.trial_id == TrialRow.id)
        .where(TrialRow.study_id == study.id, or_(TrialRow.number.in_(numbers), TrialRow.evaluates.in_(numbers)))
        .where(is_as_good)
        .group_by(TrialRow.number, TrialRow.evaluates)
    )
    steps: dict[int, list[int]] = {}
    for number, evaluates, step in transaction.session.execute(query):
        steps.setdefault(number if evaluates is None else evaluates, []).append(step + 1)
    return steps


def _conclusive_trials(
    transaction: Transaction, study: StudyRow
) -> tuple[tuple[int, Schedule, TrialState, float | None], ...]:
    """The search's trials that show how good their schedules are: number, schedule, state, value."""
    query = (
        select(TrialRow.number, TrialRow.schedule, TrialRow.state, TrialRow.value)
        .where(is_searched(study.id, *CONCLUSIVE_STATES))
        .order_by(TrialRow.number)
    )
    rows = transaction.session.execute(query)
    return tuple((row.number, schedule_from_dict(row.schedule), row.state, row.value) for row in rows)


@lru_cache(maxsize=64)
def _sensitivities(
    rows: tuple[tuple[int, Schedule, TrialState, float | None], ...], direction: Direction
) -> Mapping[int, float | None]:
    """The sensitivity by trial. Cached, because answers are requested repeatedly and a fit takes about 0.1 s."""
    trials = [SearchTrial(*row) for row in rows]
    sensitivity = Sensitivity.of(trials, direction)
    return {trial.number: sensitivity.at(trial.schedule) for trial in trials if trial.state == "COMPLETED"}

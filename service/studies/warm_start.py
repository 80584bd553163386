"""Chooses the schedules that a new study tries first: from similar finished studies, and from common practice."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from lehr.errors import Fault, InvalidScheduleError, InvalidStudyError
from lehr.schedules import Schedule, schedule_from_dict
from lehr.space import Space
from lehr.space.equality import EqualSchedules
from lehr.wire.objectives import ObjectiveSpec
from lehr.wire.studies import Direction, StudySpec
from lehr.wire.trials import Origin
from service.answer.constraints import is_broken
from service.search.observations import as_loss
from service.search.portfolio import Known, portfolio
from service.search.priors import prior_schedules
from service.search.projection import project_onto
from service.search.rates import rate_features
from service.search.similarity import similarity
from service.search.starts import mixed_starts
from service.store.database import Transaction
from service.store.tables import StudyRow, TrialRow

SHARE = 4
"""At most 1 in this many trials of the budget is chosen by the warm start..."""
MOST = 12
"""...and never more than this: a longer portfolio gains nothing."""
STUDIES = 8
"""How many studies are used: the most similar, and of equally similar ones the newest."""
COMPARED = 200
"""How many of the newest finished studies are compared with the new one."""
LEAST_SIMILARITY = 0.05
RESULTS = 500
"""How many results of each study are read, from the first."""


@dataclass(frozen=True)
class Start:
    """A schedule to try first, and where it came from."""

    schedule: Schedule
    origin: Origin


@dataclass(frozen=True)
class WarmStart:
    """A study's warm start. `studies`: those whose results were used. `starts`: what is tried first, in order."""

    studies: list[str]
    starts: list[Start]


def warm_start(transaction: Transaction, spec: StudySpec, params: Mapping[str, Any]) -> WarmStart:
    """The study's warm start, without its baselines and guesses. `params`: the task's, with defaults.

    Raises InvalidStudyError for a named study that does not exist or is not COMPLETED.
    """
    if spec.warm_start == "off":
        return WarmStart([], [])
    space, equal = spec.space.to_space(), EqualSchedules()
    given = [equal.first(schedule) for schedule in (*spec.baseline.schedules, *spec.space.guesses)]
    priors = [equal.first(schedule) for schedule in prior_schedules(space, params.get("optimizer"))]
    room = min((spec.budget.trials - len(given)) // SHARE, MOST)
    sources = _similar(transaction, spec, params) if spec.warm_start == "auto" else _named(transaction, spec, params)
    schedules, used = _portfolio(transaction, space, sources, room, equal)
    mixed = mixed_starts(schedules, priors, room, given=given)
    return WarmStart(used, [Start(schedule, origin) for schedule, origin in mixed])


@dataclass(frozen=True)
class _Source:
    study_id: str
    similarity: float
    direction: Direction


def _similar(transaction: Transaction, spec: StudySpec, params: Mapping[str, Any]) -> list[_Source]:
    query = (
        select(StudyRow.id, StudyRow.spec_document)
        .where(StudyRow.state == "COMPLETED")
        .order_by(StudyRow.created_at.desc(), StudyRow.id.desc())
        .limit(COMPARED)
    )
    sources = [
        _source(study_id, known, spec, params)
        for study_id, known in transaction.session.execute(query)
        if _objective(known) == spec.objective
    ]
    alike = [source for source in sources if source.similarity >= LEAST_SIMILARITY]
    return sorted(alike, key=lambda source: -source.similarity)[:STUDIES]


def _objective(known: Mapping[str, Any]) -> ObjectiveSpec | None:
    """A study's objective; None if its spec cannot be read, because a broken study must not fail a new one."""
    try:
        return ObjectiveSpec.model_validate(known["objective"])
    except (KeyError, TypeError, ValueError):
        return None


def _named(transaction: Transaction, spec: StudySpec, params: Mapping[str, Any]) -> list[_Source]:
    assert isinstance(spec.warm_start, list)
    query = select(StudyRow.id, StudyRow.state, StudyRow.spec_document.label("spec")).where(
        StudyRow.id.in_(spec.warm_start)
    )
    found = {row.id: row for row in transaction.session.execute(query)}
    faults = []
    for at, study_id in enumerate(spec.warm_start):
        state = found[study_id].state if study_id in found else None
        if state != "COMPLETED":
            message = "there is no such study" if state is None else f"this study is {state}"
            remedy = 'List COMPLETED studies, or set "auto" to let the server choose.'
            faults.append(Fault(f"warm_start[{at}]", message, "the id of a COMPLETED study", study_id, remedy))
    if faults:
        raise InvalidStudyError(faults)
    return [_source(study_id, found[study_id].spec, spec, params) for study_id in dict.fromkeys(spec.warm_start)]


def _source(study_id: str, known: Mapping[str, Any], spec: StudySpec, params: Mapping[str, Any]) -> _Source:
    task = known["task"]
    alike = similarity(spec.task.name, params, task["name"], task["params"])
    return _Source(study_id, alike, known["objective"]["direction"])


def _portfolio(
    transaction: Transaction, space: Space, sources: Sequence[_Source], count: int, equal: EqualSchedules
) -> tuple[list[Schedule], list[str]]:
    """The schedules, and the studies whose results were used."""
    if not sources or count <= 0:
        return [], []
    results = _results(transaction, space, sources, equal)
    known = [Known(source.similarity, results[source.study_id]) for source in sources if results.get(source.study_id)]
    points = {schedule: rate_features(schedule) for study in known for schedule in study.losses}
    used = [source.study_id for source in sources if results.get(source.study_id)]
    return portfolio(known, points, count), used


def _results(
    transaction: Transaction, space: Space, sources: Sequence[_Source], equal: EqualSchedules
) -> dict[str, dict[Schedule, float]]:
    """By study, its search trials' losses by schedule, projected onto this space. `equal` merges equal schedules."""
    directions = {source.study_id: source.direction for source in sources}
    query = (
        select(TrialRow.study_id, TrialRow.schedule, TrialRow.state, TrialRow.value, TrialRow.violation)
        .where(
            TrialRow.study_id.in_(directions),
            TrialRow.number < RESULTS,
            TrialRow.purpose == "search",
            TrialRow.state.in_(("COMPLETED", "DIVERGED")),
        )
        .order_by(TrialRow.study_id, TrialRow.number)
    )
    results: dict[str, dict[Schedule, float]] = defaultdict(dict)
    for row in transaction.session.execute(query):
        schedule = _adapted(space, row.schedule)
        if schedule is not None and (row.value is not None or row.state == "DIVERGED"):
            is_bad = row.value is None or is_broken(row.violation)
            loss = math.inf if is_bad else as_loss(row.value, directions[row.study_id])
            first = equal.first(schedule)
            results[row.study_id][first] = min(loss, results[row.study_id].get(first, math.inf))
    return results


def _adapted(space: Space, document: dict[str, Any]) -> Schedule | None:
    try:
        return project_onto(space, schedule_from_dict(document))
    except InvalidScheduleError:
        return None

"""Calls on the trials of a study: list, enqueue, get, read the curve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from sqlalchemy import ColumnElement, CompoundSelect, Select, and_, or_, select, text, union_all
from sqlalchemy.orm import Session

from lehr.errors import Fault, InvalidValueError
from lehr.wire.base import MAX_INT
from lehr.wire.problems import Page
from lehr.wire.trials import Curve, EnqueueTrial, Purpose, Trial, TrialState
from service.documents.diagnoses import trial_diagnosis
from service.documents.forecasts import running_forecast
from service.documents.studies import curve, trial_document, trial_documents
from service.endpoints.parameters import Cursor, Limit, StudyId, TrialNumber
from service.http.pagination import DEFAULT_LIMIT, decode_cursor, encode_cursor
from service.http.strict_json import StrictRoute
from service.parts import Parts
from service.services import Provided
from service.store.studies import find_study
from service.store.tables import StudyRow, TrialRow
from service.store.trials import BROKEN, find_trial

router = APIRouter(prefix="/v1/studies/{study_id}/trials", tags=["trials"], route_class=StrictRoute)

CURVE_POINTS = 10_000

Order = Literal["number", "-number", "value", "-value"]


@router.get("", response_model=Page[Trial])
def list_trials(
    *,
    study_id: StudyId,
    services: Provided,
    state: Annotated[list[TrialState] | None, Query(description="only trials in one of these states")] = None,
    purpose: Annotated[list[Purpose] | None, Query(description="only trials for one of these purposes")] = None,
    evaluates: Annotated[
        int | None, Query(ge=0, le=MAX_INT, description="only the trainings of this search trial")
    ] = None,
    order: Annotated[Order | None, Query(description="`value`: best first (default: `number`)")] = None,
    after: Annotated[int | None, Query(ge=0, le=MAX_INT, description="only trials changed after this revision")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Any:
    """List a study's trials. With `after`, the highest revision seen: only changed trials, in order of change."""
    if after is not None and order is not None:
        raise InvalidValueError(
            Fault(
                "order",
                "cannot be combined with after, which lists trials in order of revision",
                "no order together with after",
                order,
                "Remove order or after.",
            )
        )
    parts = Parts(f"study {study_id}")
    with services.database.read() as transaction, parts.required("the trials", InvalidValueError):
        study = find_study(transaction, study_id)
        query = select(TrialRow).where(TrialRow.study_id == study_id)
        if state:
            query = query.where(TrialRow.state.in_(state))
        if purpose:
            query = query.where(TrialRow.purpose.in_(purpose))
        if evaluates is not None:
            query = query.where(TrialRow.evaluates == evaluates)
        if after is not None:
            query = query.where(TrialRow.id.in_(_changed(study_id, after)))
        rows, next_cursor = _page(transaction.session, query, _ordering(study, order, after), limit, cursor)
        return {"items": trial_documents(study, rows), "next_cursor": next_cursor}


@router.post("", status_code=201, response_model=Trial)
def enqueue_trial(study_id: StudyId, request: EnqueueTrial, services: Provided, response: Response) -> Any:
    """Add a trial with a schedule of your choice. It counts towards the study's budget."""
    number = services.studies.enqueue(study_id, request.schedule, request.origin)
    services.signal.notify()
    response.headers["Location"] = f"/v1/studies/{study_id}/trials/{number}"
    with services.database.read() as transaction:
        return trial_document(find_study(transaction, study_id), find_trial(transaction, study_id, number))


@router.get("/{number}", response_model=Trial)
def get_trial(study_id: StudyId, number: TrialNumber, services: Provided) -> Any:
    """Get a trial: schedule, state, value, attempts, timings, error, and its diagnosis, or a forecast while it runs."""
    parts = Parts(f"trial {number} of study {study_id}")
    with services.database.read() as transaction, parts.required("the trial"):
        trial, study = find_trial(transaction, study_id, number), find_study(transaction, study_id)
        forecast = running_forecast(transaction, study, trial, services.forecasts, parts)
        diagnosis = trial_diagnosis(transaction, study, trial, parts)
        return trial_document(study, trial, diagnosis, forecast, parts.warnings)


@router.get("/{number}/curve", response_model=Curve)
def get_curve(
    study_id: StudyId,
    number: TrialNumber,
    services: Provided,
    max_points: Annotated[int, Query(ge=1, le=100_000, description="at most this many steps")] = CURVE_POINTS,
) -> Any:
    """Get what the trial has reported: step, learning rate, training loss, metrics."""
    parts = Parts(f"trial {number} of study {study_id}")
    with services.database.read() as transaction, parts.required("the curve"):
        return curve(transaction, find_trial(transaction, study_id, number), max_points)


@dataclass(frozen=True)
class _Ordering:
    """The order of a list of trials.

    `is_beyond`: whether a trial comes after the trial with this revision and number. None for orders by value: values
    change while a study runs, so the cursor is a plain offset.
    """

    columns: tuple[ColumnElement[Any], ...]
    is_beyond: Callable[[int, int], ColumnElement[bool]] | None


def _ordering(study: StudyRow, order: Order | None, after: int | None) -> _Ordering:
    number, revision = TrialRow.number, TrialRow.revision
    if after is not None:
        return _Ordering(
            (revision.asc(), number.asc()),
            lambda seen, last: or_(revision > seen, and_(revision == seen, number > last)),
        )
    if order in ("value", "-value"):
        return _Ordering(_value_columns(study, worst_first=order == "-value"), None)
    if order == "-number":
        return _Ordering((number.desc(),), lambda _, last: number < last)
    return _Ordering((number.asc(),), lambda _, last: number > last)


def _value_columns(study: StudyRow, *, worst_first: bool) -> tuple[ColumnElement[Any], ...]:
    """Trials without a value come last. Trials that break the constraints rank as worse than all that keep them."""
    highest_first = (study.spec.objective.direction == "maximize") != worst_first
    value = TrialRow.value.desc() if highest_first else TrialRow.value.asc()
    columns = (value.nulls_last(), TrialRow.number.asc())
    if not study.spec.objective.constraints:
        return columns
    return (TrialRow.value.is_(None), BROKEN.desc() if worst_first else BROKEN.asc(), *columns)


def _page(
    session: Session, query: Select[TrialRow], ordering: _Ordering, limit: int, cursor: str | None
) -> tuple[list[TrialRow], str | None]:
    query, start = query.order_by(*ordering.columns), 0
    if ordering.is_beyond is None:
        start = decode_cursor(cursor, int)[0] if cursor is not None else 0
        query = query.offset(start)
    elif cursor is not None:
        query = query.where(ordering.is_beyond(*decode_cursor(cursor, int, int)))
    rows = list(session.execute(query.limit(limit + 1)).scalars())
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    position = (start + limit,) if ordering.is_beyond is None else (last.revision, last.number)
    return rows[:limit], encode_cursor(*position)


def _changed(study_id: str, after: int) -> CompoundSelect[str]:
    """Ids of the trials that changed after a revision: from the few open trials, and from the ended trials."""
    mine = select(TrialRow.id).where(TrialRow.study_id == study_id)
    is_open = text("state IN ('WAITING', 'RUNNING')")  # exactly as in the partial index of open trials
    return union_all(mine.where(is_open, TrialRow.revision > after), mine.where(TrialRow.ended_revision > after))

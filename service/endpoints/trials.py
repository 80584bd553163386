"""Calls on the trials of a study."""

from __future__ import annotations

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
    order: Annotated[Order | None, Query(description="`value`: the best first; number unless told")] = None,
    after: Annotated[int | None, Query(ge=0, le=MAX_INT, description="only changes after this revision")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Any:
    """A study's trials. With `after` = the highest revision seen, only what has changed since, in order of change."""
    if after is not None and order is not None:
        raise InvalidValueError(
            Fault(
                "order",
                "changes come in the order of their revisions",
                "no order beside after",
                order,
                "Leave out order, or after.",
            )
        )
    with services.database.read() as transaction:
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
    """Train a schedule of your own within the study's budget."""
    number = services.studies.enqueue(study_id, request.schedule, request.origin)
    services.signal.notify()
    response.headers["Location"] = f"/v1/studies/{study_id}/trials/{number}"
    with services.database.read() as transaction:
        return trial_document(find_study(transaction, study_id), find_trial(transaction, study_id, number))


@router.get("/{number}", response_model=Trial)
def get_trial(study_id: StudyId, number: TrialNumber, services: Provided) -> Any:
    """A trial: schedule, state, value, attempts, timings, error; what is wrong with it, or what it will come to."""
    with services.database.read() as transaction:
        trial, study = find_trial(transaction, study_id, number), find_study(transaction, study_id)
        forecast = running_forecast(transaction, study, trial, services.forecasts)
        return trial_document(study, trial, trial_diagnosis(transaction, study, trial), forecast)


@router.get("/{number}/curve", response_model=Curve)
def get_curve(
    study_id: StudyId,
    number: TrialNumber,
    services: Provided,
    max_points: Annotated[int, Query(ge=1, le=100_000, description="at most this many steps")] = CURVE_POINTS,
) -> Any:
    """What the trial has reported: step, lr, train loss, metrics."""
    with services.database.read() as transaction:
        return curve(transaction, find_trial(transaction, study_id, number), max_points)


def _ordering(study: StudyRow, order: Order | None, after: int | None) -> str:
    if after is not None:
        return "revision"
    if order in ("value", "-value"):
        best_is_high = study.spec.objective.direction == "maximize"
        side = "falling" if best_is_high == (order == "value") else "rising"
        return f"constrained {side} {order}" if study.spec.objective.constraints else side
    return order or "number"


def _page(
    session: Session, query: Select[TrialRow], ordering: str, limit: int, cursor: str | None
) -> tuple[list[TrialRow], str | None]:
    if "rising" in ordering or "falling" in ordering:
        return _page_by_value(session, query, ordering, limit, cursor)
    position = decode_cursor(cursor, int, int) if cursor is not None else None
    if ordering == "revision":
        query = query.order_by(TrialRow.revision, TrialRow.number)
        if position is not None:
            query = query.where(_beyond(*position))
    else:
        falling = ordering == "-number"
        query = query.order_by(TrialRow.number.desc() if falling else TrialRow.number)
        if position is not None:
            query = query.where(TrialRow.number < position[1] if falling else TrialRow.number > position[1])
    rows = list(session.execute(query.limit(limit + 1)).scalars())
    more = len(rows) > limit
    rows = rows[:limit]
    return rows, encode_cursor(rows[-1].revision, rows[-1].number) if more else None


def _changed(study_id: str, after: int) -> CompoundSelect[str]:
    """Ids of the trials that changed after a revision: of the open ones, which are few, and of those that ended."""
    mine = select(TrialRow.id).where(TrialRow.study_id == study_id)
    is_open = text("state IN ('WAITING', 'RUNNING')")  # as the index of open trials has it
    return union_all(mine.where(is_open, TrialRow.revision > after), mine.where(TrialRow.ended_revision > after))


def _beyond(revision: int, number: int) -> Any:
    return or_(TrialRow.revision > revision, and_(TrialRow.revision == revision, TrialRow.number > number))


def _page_by_value(
    session: Session, query: Select[TrialRow], ordering: str, limit: int, cursor: str | None
) -> tuple[list[TrialRow], str | None]:
    """Trials without a value come last, and of the others those that break the constraints come as the worse ones do.

    Values change while a study runs, so the cursor is a plain offset.
    """
    start = decode_cursor(cursor, int)[0] if cursor is not None else 0
    by_value = TrialRow.value.desc() if "falling" in ordering else TrialRow.value.asc()
    orders: list[ColumnElement[Any]] = [by_value.nulls_last(), TrialRow.number.asc()]
    if ordering.startswith("constrained"):
        broken = BROKEN.desc() if ordering.endswith("-value") else BROKEN.asc()
        orders = [TrialRow.value.is_(None), broken, *orders]
    query = query.order_by(*orders).offset(start).limit(limit + 1)
    rows = list(session.execute(query).scalars())
    more = len(rows) > limit
    return rows[:limit], encode_cursor(start + limit) if more else None

"""Calls on the trials of a study: list, enqueue, get, read the curve."""

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
            query = query.where(_after(*position))
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
    """Ids of the trials that changed after a revision: from the few open trials, and from the ended trials."""
    mine = select(TrialRow.id).where(TrialRow.study_id == study_id)
    is_open = text("state IN ('WAITING', 'RUNNING')")  # exactly as in the partial index of open trials
    return union_all(mine.where(is_open, TrialRow.revision > after), mine.where(TrialRow.ended_revision > after))


def _after(revision: int, number: int) -> Any:
    return or_(TrialRow.revision > revision, and_(TrialRow.revision == revision, TrialRow.number > number))


def _page_by_value(
    session: Session, query: Select[TrialRow], ordering: str, limit: int, cursor: str | None
) -> tuple[list[TrialRow], str | None]:
    """Trials without a value come last. Trials that break the constraints rank as worse than all that keep them.

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

"""Calls on studies: create, list, control, and read the answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from lehr.errors import ConflictError
from lehr.schedules import schedule_from_dict
from lehr.wire.answers import Answer, Leaderboard
from lehr.wire.forecasts import Forecast, ForecastRequest
from lehr.wire.front import Aim, Front
from lehr.wire.problems import Page
from lehr.wire.studies import ResolvedStudy, Study, StudyDiagnosis, StudySpec, StudyState, StudySummary
from lehr.wire.transfer import Transfer, TransferRequest
from service.documents.answers import answer_document, leaderboard_document, whole_answer
from service.documents.best import require_best
from service.documents.diagnoses import study_diagnosis
from service.documents.forecasts import forecast_document
from service.documents.fronts import default_target, front_document
from service.endpoints.parameters import Cursor, IdempotencyKey, Limit, StudyId
from service.http.pagination import DEFAULT_LIMIT, page
from service.http.strict_json import StrictRoute
from service.parts import Parts
from service.services import Provided, Services
from service.store.database import Transaction
from service.store.studies import find_study
from service.store.study_outlines import read_outlines
from service.store.tables import StudyRow
from service.studies.study_pages import newest_first
from service.transfer.origin import setting
from service.transfer.transfer import require_target, transfer

router = APIRouter(prefix="/v1/studies", tags=["studies"], route_class=StrictRoute)


@router.post("", status_code=201, response_model=Study, responses={200: {"model": ResolvedStudy}})
def create_study(
    spec: StudySpec,
    services: Provided,
    response: Response,
    idempotency_key: IdempotencyKey = None,
    validate_only: Annotated[bool, Query(description="validate and resolve the spec without creating a study")] = False,
) -> Any:
    """Create a study. With `validate_only=true`: 200 with the resolved spec and warnings, and no study is created."""
    if validate_only:
        resolved = services.studies.resolve(spec)
        document = ResolvedStudy(spec=resolved.spec, warnings=resolved.warnings)
        return Response(document.model_dump_json(), 200, media_type="application/json")
    study_id = services.studies.create(spec, idempotency_key)
    services.signal.notify()
    response.headers["Location"] = f"/v1/studies/{study_id}"
    return _study(services, study_id)


@router.get("", response_model=Page[StudySummary])
def list_studies(
    services: Provided,
    state: Annotated[list[StudyState] | None, Query(description="only studies in one of these states")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Any:
    """List studies in short form, newest first. Standalone range tests are not listed."""
    query = newest_first(StudyRow.budget_trials > 0, state, limit, cursor)
    with services.database.read() as transaction:
        rows = read_outlines(transaction, query)
        documents = services.documents.summaries(transaction, rows[:limit])
    return page(rows, limit, documents, "created_at", "id")


@router.get("/{study_id}", response_model=Study)
def get_study(study_id: StudyId, services: Provided) -> Any:
    """Get a study: its state, its progress and the best trial so far."""
    return _study(services, study_id)


@router.post("/{study_id}/pause", response_model=Study)
def pause_study(study_id: StudyId, services: Provided) -> Any:
    """Pause a study: it starts no new trials. Running trials continue."""
    services.studies.pause(study_id)
    return _study(services, study_id)


@router.post("/{study_id}/resume", response_model=Study)
def resume_study(study_id: StudyId, services: Provided) -> Any:
    """Resume a paused study."""
    services.studies.resume(study_id)
    services.signal.notify()
    return _study(services, study_id)


@router.post("/{study_id}/stop", response_model=Study)
def stop_study(study_id: StudyId, services: Provided) -> Any:
    """Stop the search early: running trials finish, then the study confirms its best trials and completes."""
    services.studies.stop(study_id)
    services.signal.notify()
    return _study(services, study_id)


@router.post("/{study_id}/cancel", response_model=Study)
def cancel_study(study_id: StudyId, services: Provided) -> Any:
    """Cancel a study now. Running trials are cancelled too."""
    services.studies.cancel(study_id)
    return _study(services, study_id)


@router.delete("/{study_id}", status_code=204)
def delete_study(study_id: StudyId, services: Provided) -> None:
    """Delete a finished study and all its data."""
    services.studies.delete(study_id)


@router.get("/{study_id}/best", response_model=Answer)
def get_best(
    study_id: StudyId,
    services: Provided,
    points: Annotated[int | None, Query(ge=1, le=100_000, description="at most this many rates")] = None,
) -> Any:
    """Get the answer: the best schedule so far, which is confirmed once the study is COMPLETED."""
    with services.database.read() as transaction:
        return whole_answer(transaction, find_study(transaction, study_id), points)


@router.get("/{study_id}/diagnosis", response_model=StudyDiagnosis)
def get_diagnosis(study_id: StudyId, services: Provided) -> Any:
    """Diagnose the search and its best training: problems in words, with the numbers that show them."""
    with services.database.read() as transaction:
        return study_diagnosis(transaction, find_study(transaction, study_id))


@router.get("/{study_id}/front", response_model=Front)
def get_front(
    study_id: StudyId,
    services: Provided,
    target: Annotated[
        float | None,
        Query(
            allow_inf_nan=False,
            description="value of the reported metric to reach (default: the target in the answer's front)",
        ),
    ] = None,
    aim: Annotated[
        list[Aim] | None, Query(max_length=2, description="what to trade against the value (default: steps)")
    ] = None,
) -> Any:
    """Get the Pareto front: the trials that reach a target soonest, and those with better values for more steps."""
    parts = Parts(study_id)
    with services.database.read() as transaction, parts.required("the front"):
        study = find_study(transaction, study_id)
        target = _answer_target(transaction, study, parts) if target is None else target
        return front_document(transaction, study, target, tuple(aim or ("steps",)), parts)


def _answer_target(transaction: Transaction, study: StudyRow, parts: Parts) -> float:
    """Raises ConflictError while no trial has completed."""
    answer = answer_document(transaction, study, 1, parts)
    target = default_target(transaction, study, answer.baseline.mean if answer.baseline else None)
    if target is None:
        raise ConflictError("This study has no default target yet; set `target` (lehr front: --target).")
    return target


@router.post("/{study_id}/forecast", response_model=Forecast)
def forecast(study_id: StudyId, request: ForecastRequest, services: Provided) -> Any:
    """Forecast the final loss of a schedule by a law fitted to the study's trainings, or say why there is none."""
    with services.database.read() as transaction:
        study = find_study(transaction, study_id)
        return forecast_document(transaction, study, request, services.forecasts)


@router.post("/{study_id}/transfer", response_model=Transfer)
def transfer_best(study_id: StudyId, request: TransferRequest, services: Provided) -> Any:
    """Rescale the best schedule to another horizon, batch size or width. Names the rules applied and their sources."""
    require_target(request)
    parts = Parts(study_id)
    with services.database.read() as transaction, parts.required("the transfer"):
        study = find_study(transaction, study_id)
        best = require_best(transaction, study)
        schedule, params = schedule_from_dict(best.schedule), study.spec.task.params
    known = setting(request, params, study.horizon_steps)
    moved = transfer(study_id, best.number, schedule, known, request, make=parts.get)
    return moved.model_copy(update={"warnings": parts.warnings})


@router.get("/{study_id}/leaderboard", response_model=Leaderboard)
def get_leaderboard(study_id: StudyId, services: Provided) -> Any:
    """Get the best trial of each family, ranked at an equal number of trials."""
    with services.database.read() as transaction:
        return leaderboard_document(transaction, find_study(transaction, study_id))


def _study(services: Services, study_id: str) -> Study:
    with services.database.read() as transaction:
        return services.documents.study(transaction, study_id)

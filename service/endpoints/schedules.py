"""Calls on schedules: list the families, preview schedules, export one."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Request, Response

from lehr.schedules import FAMILIES, Curve, Schedule, family_json_schema
from lehr.schedules.portable import export as export_schedule
from lehr.schedules.portable.picture import Line, describe, picture, specimen, thumbnail
from lehr.wire.base import Warning_
from lehr.wire.forecasts import LossForecast
from lehr.wire.problems import Page
from lehr.wire.schedules import (
    ExportedSchedule,
    ExportRequest,
    Family,
    Preview,
    PreviewedSchedule,
    PreviewedSchedules,
)
from service.documents.forecasts import previewed
from service.endpoints.parameters import Cursor, Limit
from service.http.negotiation import JSON, SVG, negotiate
from service.http.pagination import DEFAULT_LIMIT, decode_cursor, encode_cursor
from service.http.strict_json import StrictRoute
from service.services import Provided, Services
from service.store.studies import find_study

router = APIRouter(prefix="/v1/schedules", tags=["schedules"], route_class=StrictRoute)
THUMBNAIL_POINTS = 200
MAX_EXACT_POINTS = 1000
MAX_DRAWN_POINTS = 2000
"""Three points for each pixel of the picture."""


@router.get("/families", response_model=Page[Family])
def list_families(limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Any:
    """List every family of schedules with its formula, source, JSON Schema, defaults and a thumbnail."""
    return Response(_families(limit, cursor), media_type=JSON)


@router.post(
    "/preview",
    response_model=PreviewedSchedule | PreviewedSchedules,
    responses={200: {"content": {SVG: {"schema": {"type": "string"}}}}},
)
def preview(request: Preview, http: Request, services: Provided) -> Any:
    """Compute the learning rates by step of one or more schedules.

    If `Accept` prefers `image/svg+xml`: a plot. With `study_id`: also a forecast of the final loss from its trainings.
    """
    wanted = negotiate(http.headers.get("accept"), (JSON, SVG))
    if wanted == SVG:
        points = min(request.max_points, MAX_DRAWN_POINTS)
        lines = [
            Line(describe(schedule), _curve(schedule, request.horizon_steps, points)) for schedule in request.asked
        ]
        content = picture(lines, log=request.log_scale).encode()
        return Response(content, media_type=SVG, headers={"Vary": "Accept"})
    previews = [_rates(schedule, request) for schedule in request.asked]
    if request.study_id is not None:
        forecasts, warnings = _forecasts(services, request.study_id, request)
        previews = [
            preview.model_copy(update={"forecast": forecast, "warnings": warnings})
            for preview, forecast in zip(previews, forecasts, strict=True)
        ]
    answer: PreviewedSchedule | PreviewedSchedules
    answer = previews[0] if request.schedules is None else PreviewedSchedules(schedules=previews)
    return Response(answer.model_dump_json(), media_type=JSON, headers={"Vary": "Accept"})


@router.post("/export", response_model=ExportedSchedule)
def export(request: ExportRequest) -> Any:
    """Export a schedule for a framework, as code, flags or a table. The answer says whether the export is exact."""
    exported = export_schedule(request.schedule, request.framework, request.horizon_steps)
    return ExportedSchedule(
        framework=exported.framework,
        code=exported.code,
        exact=exported.exact,
        form=exported.form,
        note=exported.note,
    )


def _forecasts(services: Services, study_id: str, request: Preview) -> tuple[list[LossForecast | None], list[Warning_]]:
    with services.database.read() as transaction:
        study = find_study(transaction, study_id)
        return previewed(transaction, study, request.asked, request.horizon_steps, services.forecasts)


def _rates(schedule: Schedule, request: Preview) -> PreviewedSchedule:
    curve = _curve(schedule, request.horizon_steps, request.max_points)
    momentum = None if curve.momentum is None else list(curve.momentum)
    return PreviewedSchedule(step=list(curve.step), lr=list(curve.lr), momentum=momentum)


def _curve(schedule: Schedule, horizon_steps: int, max_points: int) -> Curve:
    """The schedule's curve. A curve of many points is computed with numpy and may differ in the last digits."""
    if max_points <= MAX_EXACT_POINTS:
        return schedule.curve(horizon_steps, max_points)
    arrays = schedule.curve_array(horizon_steps, max_points)
    momentum = None if arrays.momentum is None else tuple(arrays.momentum.tolist())
    return Curve(tuple(arrays.step.tolist()), tuple(arrays.lr.tolist()), momentum)


@lru_cache(maxsize=8)
def _families(limit: int, cursor: str | None) -> bytes:
    """The complete answer, which never changes while the program runs."""
    first = decode_cursor(cursor, int)[0] if cursor is not None else 0
    items = [_family(name, family) for name, family in list(FAMILIES.items())[first : first + limit]]
    following = encode_cursor(first + limit) if first + limit < len(FAMILIES) else None
    return Page[Family](items=items, next_cursor=following).model_dump_json().encode()


def _family(name: str, family: type[Schedule]) -> Family:
    schema = family_json_schema(family)
    defaults = {name: field["default"] for name, field in schema["properties"].items() if "default" in field}
    drawn = None if family.adaptive else thumbnail(specimen(family).curve(THUMBNAIL_POINTS), name)
    return Family(
        name=name,
        summary=family.summary(),
        formula=family.formula,
        source=family.source,
        climbs=family.climbs,
        params_schema=schema,
        defaults=defaults,
        thumbnail=drawn,
    )

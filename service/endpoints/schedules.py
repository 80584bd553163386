"""Calls on schedules, apart from any study."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from lehr.schedules import FAMILIES, family_json_schema
from lehr.wire.problems import Page
from lehr.wire.schedules import Family, Preview, PreviewedSchedule
from service.strict_json import StrictRoute

router = APIRouter(prefix="/v1/schedules", tags=["schedules"], route_class=StrictRoute)


@router.get("/families", response_model=Page[Family])
def list_families() -> Any:
    """Every family with its formula, source and JSON Schema."""
    items = [
        Family(
            name=name,
            summary=(family.__doc__ or "").strip().splitlines()[0],
            formula=family.formula,
            source=family.source,
            climbs=family.climbs,
            params_schema=family_json_schema(family),
        )
        for name, family in FAMILIES.items()
    ]
    return {"items": items, "next_cursor": None}


@router.post("/preview", response_model=PreviewedSchedule)
def preview(request: Preview) -> Any:
    """The schedule's rates by step."""
    curve = request.schedule.curve(request.horizon_steps, request.max_points)
    return PreviewedSchedule(
        step=list(curve.step), lr=list(curve.lr), momentum=None if curve.momentum is None else list(curve.momentum)
    )

"""Calls on range tests."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from lehr.errors import NotFoundError
from lehr.wire.ranges import RangeTest, RangeTestRequest
from service.documents import find_study, range_test_document
from service.endpoints.parameters import IdempotencyKey, StudyId
from service.services import Provided, Services
from service.strict_json import StrictRoute

router = APIRouter(prefix="/v1/range-tests", tags=["range tests"], route_class=StrictRoute)


@router.post("", status_code=201, response_model=RangeTest)
def create_range_test(
    request: RangeTestRequest, services: Provided, response: Response, idempotency_key: IdempotencyKey = None
) -> Any:
    """Queue a range test alone: sweeps of the learning rate that tell where to search it, and no search."""
    study_id = services.studies.create_range_test(request, idempotency_key)
    services.signal.notify()
    response.headers["Location"] = f"/v1/range-tests/{study_id}"
    return _document(services, study_id)


@router.get("/{study_id}", response_model=RangeTest)
def get_range_test(study_id: StudyId, services: Provided) -> Any:
    """A range test, alone or a study's first stage: how far it is, and what it found."""
    return _document(services, study_id)


def _document(services: Services, study_id: str) -> RangeTest:
    with services.database.read() as transaction:
        study = find_study(transaction, study_id)
        if study.spec.get("range_test") is None:
            raise NotFoundError(f"study {study_id} has no range test: its space.start_lr is a range")
        return range_test_document(transaction, study)

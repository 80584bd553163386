"""Calls on range tests: create, list, get."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from lehr.errors import ConflictError, NotFoundError
from lehr.wire.problems import Page
from lehr.wire.ranges import RangeResult, RangeTest, RangeTestRequest
from lehr.wire.studies import StudyState
from service.documents.studies import range_test_documents
from service.endpoints.parameters import Cursor, IdempotencyKey, Limit, StudyId
from service.http.negotiation import JSON, SVG, negotiate
from service.http.pagination import DEFAULT_LIMIT, fill, page
from service.http.strict_json import StrictRoute
from service.parts import Parts
from service.ranges.picture import picture
from service.services import Provided, Services
from service.store.studies import find_study
from service.store.tables import StudyRow
from service.studies.study_pages import newest_first

ROWS_AT_ONCE = 20
"""How many rows to read from the database at once: a page may end long before its limit."""

router = APIRouter(prefix="/v1/range-tests", tags=["range tests"], route_class=StrictRoute)


@router.post("", status_code=201, response_model=RangeTest)
def create_range_test(
    request: RangeTestRequest, services: Provided, response: Response, idempotency_key: IdempotencyKey = None
) -> Any:
    """Queue a standalone range test: sweeps of the learning rate that find the range to search, without a search."""
    study_id = services.studies.create_range_test(request, idempotency_key)
    services.signal.notify()
    response.headers["Location"] = f"/v1/range-tests/{study_id}"
    return _document(services, study_id)


@router.get("", response_model=Page[RangeTest])
def list_range_tests(
    services: Provided,
    state: Annotated[list[StudyState] | None, Query(description="only range tests in one of these states")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Any:
    """List standalone range tests, newest first. A study's own range test is part of the study."""
    query = newest_first(StudyRow.budget_trials == 0, state, limit, cursor)
    with services.database.read() as transaction:
        with closing(transaction.session.scalars(query, execution_options={"yield_per": ROWS_AT_ONCE})) as rows:
            read, count = fill(rows, limit, _size)
        documents = range_test_documents(transaction, read[:count])
    return page(read, count, documents, "created_at", "id")


@router.get(
    "/{study_id}", response_model=RangeTest, responses={200: {"content": {SVG: {"schema": {"type": "string"}}}}}
)
def get_range_test(study_id: StudyId, http: Request, services: Provided) -> Any:
    """Get a range test, standalone or the first stage of a study: its progress and its result.

    If `Accept` prefers `image/svg+xml`: a plot of its curve; 409 until its sweeps have ended.
    """
    wanted = negotiate(http.headers.get("accept"), (JSON, SVG))
    document = _document(services, study_id)
    if wanted == JSON:
        return Response(document.model_dump_json(), media_type=JSON, headers={"Vary": "Accept"})
    if document.result is None:
        raise ConflictError("the sweeps of this range test have not ended; request its plot after they have")
    return Response(_picture(document, document.result).encode(), media_type=SVG, headers={"Vary": "Accept"})


def _picture(document: RangeTest, result: RangeResult) -> str:
    """The plot, or one that says that it failed."""
    message = "the plot failed; the server's log has the error"
    without = picture(result.model_copy(update={"curve": None, "reason": message}), document.name)
    return Parts(document.range_test_id).get("picture", lambda: picture(result, document.name), without)


def _size(study: StudyRow) -> int:
    return len(json.dumps([study.spec_document, study.range_test]))


def _document(services: Services, study_id: str) -> RangeTest:
    with services.database.read() as transaction, Parts(study_id).required("the range test"):
        study = find_study(transaction, study_id)
        if study.spec.range_test is None:
            raise NotFoundError(f"study {study_id} has no range test: its space.start_lr is a range")
        for document in range_test_documents(transaction, [study]):
            return document
        raise ConflictError(f"the database's row of range test {study_id} cannot be read; the server's log says why")

"""Calls for operators: liveness, readiness, metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from service.http.problems import problem
from service.services import Provided
from service.store.schema import newest_revision, schema_fault, stored_revision

router = APIRouter(tags=["operations"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Check that the process is alive."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(services: Provided) -> Any:
    """Check that the database answers and has the newest schema. 503 until both are true."""
    try:
        with services.database.read() as transaction:
            transaction.session.execute(text("SELECT 1"))
        stored = stored_revision(services.database.engine)
    except SQLAlchemyError as error:
        return problem(503, "database-unavailable", f"the database does not answer: {type(error).__name__}")
    if stored != newest_revision():
        return problem(503, "schema-not-current", schema_fault(stored))
    return {"status": "ready", "schema": stored}


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(services: Provided) -> Response:
    """Get the server's metrics in Prometheus' text format."""
    return Response(services.metrics.render(), media_type=CONTENT_TYPE_LATEST)

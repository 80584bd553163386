"""Describes every error in the OpenAPI document as a problem document."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from lehr.wire.problems import Problem
from service.http.problems import MEDIA_TYPE

REFERENCE = "#/components/schemas/{model}"
REPLACED = ("HTTPValidationError", "ValidationError")
"""Schemas that FastAPI adds and no call returns."""


class DescribedApp(FastAPI):
    """FastAPI whose OpenAPI document declares `application/problem+json` for statuses 400 and above."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = _with_problems(super().openapi())
        return self.openapi_schema


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    for name in REPLACED:
        schemas.pop(name, None)
    _, own = models_json_schema([(Problem, "serialization")], ref_template=REFERENCE)
    schemas.update(own["$defs"])
    described = {
        "description": "A problem document (RFC 9457)",
        "content": {MEDIA_TYPE: {"schema": {"$ref": REFERENCE.format(model=Problem.__name__)}}},
    }
    for calls in document["paths"].values():
        for operation in calls.values():
            operation["responses"].pop("422", None)
            operation["responses"] |= {"4XX": described, "5XX": described}
    return document

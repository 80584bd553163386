"""Problem documents (RFC 9457) and pages: what every error and every list looks like."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import Field

from lehr.wire.base import Response


class FaultDocument(Response):
    field: str
    message: str
    bound: str
    value: Any
    remedy: str


class Problem(Response):
    type: str
    title: str
    status: int
    detail: str
    errors: list[FaultDocument] = Field(default_factory=list)


Item = TypeVar("Item")


class Page(Response, Generic[Item]):
    items: list[Item]
    next_cursor: str | None

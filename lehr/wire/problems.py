"""Models of errors (problem documents, RFC 9457) and of paginated lists."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import Field

from lehr.wire.base import Response


class FaultDocument(Response):
    """One invalid value: the field, what is wrong, the allowed bound, the value given, and how to fix it."""

    field: str
    message: str
    bound: str
    value: Any
    remedy: str


class Problem(Response):
    """An error (RFC 9457). `errors`: the invalid values, if the request had any."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FaultDocument] = Field(default_factory=list)


Item = TypeVar("Item")


class Page(Response, Generic[Item]):
    """A page of a list. `next_cursor`: pass it as `cursor` to get the next page; null on the last page."""

    items: list[Item]
    next_cursor: str | None

"""Queries one page of a list of studies or range tests, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select

from lehr.wire.studies import StudyState
from service.http.pagination import decode_cursor
from service.store.tables import StudyRow


def newest_first(
    which: ColumnElement[bool], states: Sequence[StudyState] | None, limit: int, cursor: str | None
) -> Select[StudyRow]:
    """A page of the studies that match `which`, plus one more. Raises InvalidValueError for an invalid cursor."""
    query = select(StudyRow).where(which).order_by(StudyRow.created_at.desc(), StudyRow.id.desc()).limit(limit + 1)
    if states:
        query = query.where(StudyRow.state.in_(states))
    return query if cursor is None else query.where(_older_than(cursor))


def _older_than(cursor: str) -> Any:
    stamp, last_id = decode_cursor(cursor, str, str)
    try:
        created_at = datetime.fromisoformat(stamp)
    except ValueError:
        created_at = None
    if created_at is None or created_at.tzinfo is None:
        decode_cursor("", str)  # raises InvalidValueError, because no cursor of this list has such a time
    return or_(StudyRow.created_at < created_at, and_(StudyRow.created_at == created_at, StudyRow.id < last_id))

"""Path, query and header parameters that several calls share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Path, Query

from lehr.wire.base import ID_PATTERN, MAX_INT
from service.http.pagination import DEFAULT_LIMIT, MAX_LIMIT

StudyId = Annotated[str, Path(pattern=ID_PATTERN, description="the study's id")]
LeaseId = Annotated[str, Path(pattern=ID_PATTERN, description="the lease's id")]
TrialNumber = Annotated[int, Path(ge=0, le=MAX_INT, description="the trial's number in its study")]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description=f"entries per page (default: {DEFAULT_LIMIT})")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the previous page")]
IdempotencyKey = Annotated[
    str | None,
    Header(pattern=r"^[\x21-\x7e]{1,255}$", description="makes the call safe to repeat: 1 to 255 printable characters"),
]

"""The model by which a study or a range test refers to a task."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from lehr.errors import Fault, InvalidStudyError
from lehr.wire.base import Request, TaskName, Text

MAX_PARAMS_BYTES = 64 * 1024


def _bounded(params: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(params, ensure_ascii=False, separators=(",", ":"), default=str)
    if (size := len(text.encode("utf-8", "surrogatepass"))) > MAX_PARAMS_BYTES:
        bound, remedy = f"at most {MAX_PARAMS_BYTES} bytes as JSON", "Put large data in a file that the worker reads."
        raise InvalidStudyError(Fault("", "are too large", bound, f"{size} bytes", remedy))
    return params


TaskParams = Annotated[dict[Text, Any], AfterValidator(_bounded)]


class TaskReference(Request):
    """A task by name, with its parameters (at most 64 KiB as JSON)."""

    name: TaskName
    params: TaskParams = Field(default_factory=dict)

"""Rewrites errors about request fields so that they name the CLI options that set them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from lehr.errors import Fault, InvalidValueError, ServerError

_NAME = re.compile(r"(?<![\w.-])[a-z]+(?:_[a-z]+)*(?![\w-])")


@contextmanager
def naming(flags: Mapping[str, str]) -> Iterator[None]:
    """Replace field names by option names in InvalidValueErrors, including the server's.

    `flags`: maps fields to options; a nested field (`task.params.epochs` of `task.params`) becomes the option followed
    by the rest.
    """
    try:
        yield
    except InvalidValueError as refused:
        refused.faults = tuple(_renamed(fault, flags) for fault in refused.faults)
        if isinstance(refused, ServerError):
            refused.problem = {**refused.problem, "detail": _prose(str(refused.problem.get("detail", "")), flags)}
        raise


def _renamed(fault: Fault, flags: Mapping[str, str]) -> Fault:
    bound = _NAME.sub(lambda name: flags.get(name[0], name[0]), fault.bound)
    message, remedy = _prose(fault.message, flags), _prose(fault.remedy, flags)
    return replace(fault, field=_field(fault.field, flags), message=message, bound=bound, remedy=remedy)


def _field(field: str, flags: Mapping[str, str]) -> str:
    for outer in sorted(flags, key=len, reverse=True):
        if field == outer or field.startswith((f"{outer}.", f"{outer}[")):
            return f"{flags[outer]} {field[len(outer) :].lstrip('.')}".rstrip()
    return field


def _prose(text: str, flags: Mapping[str, str]) -> str:
    """Rename only names with an underscore: the others may be ordinary words."""
    return _NAME.sub(lambda name: flags.get(name[0], name[0]) if "_" in name[0] else name[0], text)

"""Pagination: opaque cursors that encode where the previous page ended, and limits on a page's size."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from lehr.errors import Fault, InvalidValueError

DEFAULT_LIMIT = 100
MAX_LIMIT = 500
PAGE_BYTES = 2**20
"""A page of entries that may be large ends at this size, or after one entry, even if `limit` allows more."""

Entry = TypeVar("Entry")


def encode_cursor(*position: int | str) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """The position in a cursor. Raises InvalidValueError if the cursor is not from this list."""
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        position = None
    fits = isinstance(position, list) and len(position) == len(kinds)
    if not fits or not all(type(part) is kind and _storable(part) for part, kind in zip(position, kinds, strict=True)):
        raise InvalidValueError(
            Fault(
                "cursor",
                "is not a cursor of this list",
                "next_cursor of an earlier page",
                cursor,
                "Start again without a cursor.",
            )
        )
    return tuple(position)


def _storable(part: object) -> bool:
    if isinstance(part, int):
        return 0 <= part < 2**53
    if not isinstance(part, str):
        return False
    return "\x00" not in part and not any("\ud800" <= character <= "\udfff" for character in part)


def page(rows: Sequence[Any], limit: int, documents: Sequence[Any], *position: str) -> dict[str, Any]:
    """A page of `documents`. `rows`: the rows they were made from, up to `limit` + 1, to see whether a page follows."""
    cursor = None
    if len(rows) > limit:
        last = rows[limit - 1]
        cursor = encode_cursor(*(_plain(getattr(last, name)) for name in position))
    return {"items": list(documents)[:limit], "next_cursor": cursor}


def fill(entries: Iterable[Entry], limit: int, size: Callable[[Entry], int]) -> tuple[list[Entry], int]:
    """The entries of a page plus the next entry, if there is one; and how many of them belong to the page.

    `size`: an entry's size in bytes. No entries after these are read.
    """
    read: list[Entry] = []
    total = 0
    for entry in entries:
        read.append(entry)
        total += size(entry)
        if len(read) > 1 and (len(read) > limit or total > PAGE_BYTES):
            return read, len(read) - 1
    return read, len(read)


def _plain(value: Any) -> int | str:
    return value if isinstance(value, int | str) else value.isoformat()

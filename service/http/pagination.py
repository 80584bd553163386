"""Pages of lists: opaque cursors that hold where the last page ended."""

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
"""Of entries that may be large a page holds this much, or one entry, though `limit` allows for more."""

Entry = TypeVar("Entry")


def encode_cursor(*position: int | str) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """The position in a cursor. Raises InvalidValueError for one that this list did not give out."""
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        position = None
    fits = isinstance(position, list) and len(position) == len(kinds)
    if not fits or not all(type(part) is kind and _storable(part) for part, kind in zip(position, kinds, strict=True)):
        raise InvalidValueError(
            Fault(
                "cursor",
                "not a cursor of this list",
                "next_cursor of a page before",
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
    """A page of `documents`, made of rows of which one more than `limit` was asked for."""
    cursor = None
    if len(rows) > limit:
        last = rows[limit - 1]
        cursor = encode_cursor(*(_plain(getattr(last, name)) for name in position))
    return {"items": list(documents)[:limit], "next_cursor": cursor}


def fill(entries: Iterable[Entry], limit: int, size: Callable[[Entry], int]) -> tuple[list[Entry], int]:
    """The entries of a page, and the one after them where there is one; and how many are the page's.

    `size`: of an entry, in bytes. Entries beyond are not read.
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

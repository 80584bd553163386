"""Creates ids: opaque, unguessable, and in no particular order."""

from __future__ import annotations

import uuid


def new_id() -> str:
    """32 hexadecimal digits."""
    return uuid.uuid4().hex

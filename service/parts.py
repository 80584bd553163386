"""Parts of a document that may fail: what cannot be read of one row is left out, and the rest is answered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

MOST_REMEMBERED = 10_000

T = TypeVar("T")

log = structlog.get_logger("lehr.documents")

_logged: set[tuple[str, str]] = set()
_guard = threading.Lock()


@dataclass
class Parts:
    """Makes the parts of what is said of one row. `missing`: the names of those that could not be made."""

    row: str
    missing: list[str] = field(default_factory=list)

    def get(self, name: str, make: Callable[[], T], otherwise: T) -> T:
        """The part; `otherwise` where it cannot be made, which is logged once for each row."""
        try:
            return make()
        except (SQLAlchemyError, MemoryError):
            raise
        except Exception as error:
            self.missing.append(name)
            if _is_new(self.row, name):
                log.error("part_unreadable", row=self.row, part=name, exc_info=error)
            return otherwise


def _is_new(row: str, name: str) -> bool:
    with _guard:
        if (row, name) in _logged:
            return False
        if len(_logged) >= MOST_REMEMBERED:
            _logged.clear()
        _logged.add((row, name))
        return True

"""Builds a document in parts: one that fails gets a fallback and is listed as missing, unless it is required."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from lehr.errors import ConflictError, LehrError, NotFoundError
from lehr.wire.base import Warning_

MOST_REMEMBERED = 10_000

T = TypeVar("T")

log = structlog.get_logger("lehr.documents")

_logged: set[tuple[str, str]] = set()
_guard = threading.Lock()


class Make(Protocol):
    """How a part is built: `Parts.get`, or `directly`."""

    def __call__(self, name: str, make: Callable[[], T], otherwise: T) -> T: ...


def directly(name: str, make: Callable[[], T], otherwise: T) -> T:
    """Build the part, and let its error pass."""
    return make()


@dataclass
class Parts:
    """Builds the parts of a document about one row. `missing`: the names of those that failed."""

    row: str
    missing: list[str] = field(default_factory=list)

    def get(self, name: str, make: Callable[[], T], otherwise: T) -> T:
        """The part; `otherwise` if it fails, which is logged once for each row."""
        try:
            return make()
        except (SQLAlchemyError, MemoryError):
            raise
        except Exception as error:
            self.missing.append(name)
            if _is_new(self.row, name):
                log.error("part_left_out", row=self.row, part=name, exc_info=error)
            return otherwise

    @contextmanager
    def required(self, name: str, *answers: type[LehrError]) -> Iterator[None]:
        """For parts without which there is no document: raises ConflictError if they fail.

        ConflictError, NotFoundError and `answers` are raised unchanged.
        """
        raised: tuple[type[BaseException], ...] = (SQLAlchemyError, MemoryError, ConflictError, NotFoundError, *answers)
        try:
            yield
        except raised:
            raise
        except Exception as error:
            if _is_new(self.row, name):
                log.error("answer_not_made", row=self.row, part=name, exc_info=error)
            message = f"{name} cannot be built from the database's rows of {self.row}; the server's log has the error"
            raise ConflictError(message) from error

    @property
    def warnings(self) -> list[Warning_]:
        """One for each part that failed."""
        return [
            Warning_(
                code="part_left_out",
                field=name,
                message=f"{name} failed and was left out; the server's log has the error",
            )
            for name in dict.fromkeys(self.missing)
        ]


def _is_new(row: str, name: str) -> bool:
    with _guard:
        if (row, name) in _logged:
            return False
        if len(_logged) >= MOST_REMEMBERED:
            _logged.clear()
        _logged.add((row, name))
        return True

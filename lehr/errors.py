"""The exceptions that lehr raises.

They are independent of HTTP; one table in the server maps each class to a status.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


class LehrError(Exception):
    """Base class of all errors raised by lehr."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


@dataclass(frozen=True, slots=True)
class Fault:
    """One invalid value: the field, what is wrong, the allowed bound, the value given, and how to fix it."""

    field: str
    message: str
    bound: str
    value: Any
    remedy: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message} (allowed: {self.bound}; got {self.value!r}). {self.remedy}"

    def under(self, prefix: str) -> Fault:
        """The same fault with `prefix` put before its field."""
        field = f"{prefix}.{self.field}" if self.field else prefix
        return Fault(field, self.message, self.bound, self.value, self.remedy)


def nearest(name: object, known: Iterable[str]) -> str | None:
    """The known word closest to `name`, ignoring case; None if no word is close."""
    by_lower = {word.lower(): word for word in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1) if isinstance(name, str) else []
    return by_lower[near[0]] if near else None


def suggest(name: object, known: Iterable[str], what: str) -> str:
    """A remedy that suggests the known word closest to `name`."""
    near = nearest(name, known)
    return f"Did you mean {near}?" if near else f"Choose {what} from the list."


class InvalidValueError(LehrError, ValueError):
    """A value is invalid."""

    def __init__(self, faults: Fault | Sequence[Fault]) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__("; ".join(str(fault) for fault in self.faults))


class InvalidScheduleError(InvalidValueError):
    """A schedule's parameters are unknown, contradictory or out of bounds."""


class InexpressibleError(InvalidScheduleError):
    """Another framework's schedule has no exact equivalent in lehr."""


class InvalidSpaceError(InvalidValueError):
    """A search space is empty, has inverted bounds, or contains no valid schedule."""


class InvalidStudyError(InvalidValueError):
    """A study's specification is invalid."""


class TooManyError(InvalidValueError):
    """Too many requests of this kind."""


class NotFoundError(LehrError):
    """The requested object does not exist."""


class ConflictError(LehrError):
    """The current state does not allow this operation."""


class IdempotencyError(LehrError):
    """The idempotency key was already used with a different request."""


class LostLeaseError(ConflictError):
    """The lease no longer holds any of the named trials; nothing was recorded."""


class ServerError(LehrError):
    """The server answered with a problem document.

    `status`: the HTTP status. `problem`: the document (RFC 9457).
    """

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        super().__init__(_problem_text(status, problem))


class UnreachableError(LehrError):
    """The server did not respond."""


def _problem_text(status: int, problem: dict[str, Any]) -> str:
    lines = [f"{status} {problem.get('title', 'error')}: {problem.get('detail', '')}".rstrip(": ")]
    for fault in problem.get("errors") or []:
        lines.append(
            f"  {fault.get('field')}: {fault.get('message')} (allowed: {fault.get('bound')}; "
            f"got {fault.get('value')!r}). {fault.get('remedy')}"
        )
    return "\n".join(lines)

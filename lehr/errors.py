"""Everything that lehr raises on purpose.

Errors know nothing of HTTP; the server keeps one table from class to status.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


class LehrError(Exception):
    """Something lehr refused or could not do."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


@dataclass(frozen=True, slots=True)
class Fault:
    """One refused value: where it stands, what is allowed, what was given, what to do."""

    field: str
    message: str
    bound: str
    value: Any
    remedy: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message} (allowed: {self.bound}; got {self.value!r}). {self.remedy}"

    def under(self, prefix: str) -> Fault:
        """The same fault, its field named from one level further out."""
        field = f"{prefix}.{self.field}" if self.field else prefix
        return Fault(field, self.message, self.bound, self.value, self.remedy)


def nearest(name: object, known: Iterable[str]) -> str | None:
    """The known word that an unknown one was probably meant to be; None where none is near. Case does not count."""
    by_lower = {word.lower(): word for word in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1) if isinstance(name, str) else []
    return by_lower[near[0]] if near else None


def suggest(name: object, known: Iterable[str], what: str) -> str:
    """A remedy that names the known word nearest to an unknown one."""
    near = nearest(name, known)
    return f"Did you mean {near}?" if near else f"Choose {what} from the list."


class InvalidValueError(LehrError, ValueError):
    """A value is out of its bounds."""

    def __init__(self, faults: Fault | Sequence[Fault]) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__("; ".join(str(fault) for fault in self.faults))


class InvalidScheduleError(InvalidValueError):
    """A schedule's parameters are unknown, contradictory or out of bounds."""


class InexpressibleError(InvalidScheduleError):
    """Another framework's schedule has no equal among lehr's."""


class InvalidSpaceError(InvalidValueError):
    """A search space is empty, inverted, or holds no valid schedule."""


class InvalidStudyError(InvalidValueError):
    """A study asks for what cannot be searched."""


class NotFoundError(LehrError):
    """There is no such thing."""


class ConflictError(LehrError):
    """The thing is not in a state that allows this."""


class IdempotencyError(LehrError):
    """The idempotency key was used before with another request."""


class LostLeaseError(ConflictError):
    """None of the named trials is held by this lease any more; nothing was recorded."""


class ServerError(LehrError):
    """The server answered with a problem document.

    `status` is the HTTP status, `problem` the document (RFC 9457).
    """

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        super().__init__(_problem_text(status, problem))


class UnreachableError(LehrError):
    """The server did not answer."""


def _problem_text(status: int, problem: dict[str, Any]) -> str:
    lines = [f"{status} {problem.get('title', 'error')}: {problem.get('detail', '')}".rstrip(": ")]
    for fault in problem.get("errors") or []:
        lines.append(
            f"  {fault.get('field')}: {fault.get('message')} (allowed: {fault.get('bound')}; "
            f"got {fault.get('value')!r}). {fault.get('remedy')}"
        )
    return "\n".join(lines)

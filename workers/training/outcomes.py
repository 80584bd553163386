"""How the training of a trial can end, as the lease loop sees it."""

from __future__ import annotations

from dataclasses import dataclass

from lehr.wire.leases import MAX_ERROR_CHARACTERS, Directive, FinishState
from lehr.wire.trials import Execution

ALONE = Execution(mode="solo", together=1, reason="trials are trained one after the other")
"""How trials are trained where nothing is chosen."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The trial has a result."""

    state: FinishState
    value: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """The trial is no longer this worker's: cancelled, done elsewhere or lost."""

    directive: Directive


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The worker drains; the trial is saved and to be given back."""


Outcome = Finished | Dropped | Interrupted


def storable_error(text: str) -> str:
    """The text's end, where a traceback names the exception, without what the wire refuses."""
    text = text.replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode()
    if len(text) <= MAX_ERROR_CHARACTERS:
        return text
    mark = "[the beginning is cut]\n"
    return mark + text[len(mark) - MAX_ERROR_CHARACTERS :]

"""Tracebacks for logs: bounded, without the frames' variables, and without passwords in URLs."""

from __future__ import annotations

import re
import traceback

MOST_FRAMES = 20
"""Of each exception of a chain: the innermost ones."""
MOST_CHARACTERS = 8_000
"""Of a whole traceback: its end, where the exception that was raised stands."""

_PASSWORD = re.compile(r"(?<=://)([^\s/:@]*:)(?!\d+(?:/|$))[^\s@]+@|(?<=://)[^\s/:@]+@")
"""Up to the @, since a password that was not quoted may contain a slash; a port and a path are no password. A user
without a password may be a token.
"""
_PARAMETER = re.compile(r"\b(password=)[^\s&]+", re.IGNORECASE)


def short_traceback(error: BaseException) -> str:
    """The traceback, of at most MOST_CHARACTERS and a line that says how many are left out."""
    described = traceback.TracebackException.from_exception(error, limit=-MOST_FRAMES, compact=True)
    text = without_passwords("".join(described.format())).rstrip()
    left_out = len(text) - MOST_CHARACTERS
    return text if left_out <= 0 else f"({left_out} characters left out)\n{text[-MOST_CHARACTERS:]}"


def without_passwords(text: str) -> str:
    """The text with the password of every URL in it, or a user without one, replaced by ***."""
    return _PARAMETER.sub(r"\1***", _PASSWORD.sub(lambda found: f"{found[1] or ''}***@", text))

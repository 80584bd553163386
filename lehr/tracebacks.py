"""Formats tracebacks for logs: bounded in length, without local variables or passwords in URLs."""

from __future__ import annotations

import re
import traceback

MOST_FRAMES = 20
"""The innermost frames to keep of each exception in a chain."""
MOST_CHARACTERS = 8_000
"""The longest traceback. Its end is kept, which shows the exception that was raised."""

_PASSWORD = re.compile(r"(?<=://)([^\s/:@]*:)(?!\d+(?:/|$))[^\s@]+@|(?<=://)[^\s/:@]+@")
"""Matches up to the @, since an unquoted password may contain a slash; a port and a path are not a password. A user
name without a password may be a token.
"""
_PARAMETER = re.compile(r"\b(password=)[^\s&]+", re.IGNORECASE)


def short_traceback(error: BaseException) -> str:
    """The end of the traceback, at most MOST_CHARACTERS, after a line that says how many characters are left out."""
    described = traceback.TracebackException.from_exception(error, limit=-MOST_FRAMES, compact=True)
    text = without_passwords("".join(described.format())).rstrip()
    left_out = len(text) - MOST_CHARACTERS
    return text if left_out <= 0 else f"({left_out} characters left out)\n{text[-MOST_CHARACTERS:]}"


def without_passwords(text: str) -> str:
    """Replace passwords in URLs, and user names that have no password, by ***."""
    return _PARAMETER.sub(r"\1***", _PASSWORD.sub(lambda match: f"{match[1] or ''}***@", text))

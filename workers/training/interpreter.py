"""A Python of its own for a part of the worker."""

from __future__ import annotations

import sys


def interpreter(module: str, function: str, descriptor: int) -> list[str]:
    """The command of a process that calls `function(descriptor)` of a module, and finds modules where this one does."""
    code = f"import sys; sys.path[:] = {sys.path!r}\nfrom {module} import {function}; {function}({descriptor})"
    return [sys.executable, "-c", code]

"""Builds the command that runs a function of the worker in a new Python process."""

from __future__ import annotations

import sys


def interpreter(module: str, function: str, descriptor: int) -> list[str]:
    """A command that calls `function(descriptor)` of a module, with this process's module search path."""
    code = f"import sys; sys.path[:] = {sys.path!r}\nfrom {module} import {function}; {function}({descriptor})"
    return [sys.executable, "-c", code]

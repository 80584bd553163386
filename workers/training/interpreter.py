"""Builds the command that runs a function of the worker in a new Python process."""

from __future__ import annotations

import sys


def interpreter(module: str, function: str, argument: int | list[str]) -> list[str]:
    """A command that exits with `function(argument)` of a module, with this process's module search path."""
    call = f"from {module} import {function}; sys.exit({function}({argument!r}))"
    return [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{call}"]

"""The schedule's own formula as plain Python, which any framework can run or take the rates from."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

from lehr.schedules.base import Schedule
from lehr.schedules.export_torch import torch_code

MAX_TABLE_STEPS = 10_000_000
"""The longest horizon whose rates are all kept in memory; a longer one is drawn through so many points."""


def functions(schedule: Schedule, horizon_steps: int) -> str:
    """The definitions of `lr_at(step)` and, where it cycles momentum, `momentum_at(step)`; they need `math`."""
    text = torch_code(schedule, horizon_steps)
    found = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    return "\n\n\n".join(ast.get_source_segment(text, node) or "" for node in found) + "\n"


def compiled(schedule: Schedule, horizon_steps: int) -> tuple[Callable[[int], float], Callable[[int], float] | None]:
    """The two functions of `functions`, made: a fraction of `lr_at`'s time for the same rate to the last bit."""
    names: dict[str, Any] = {"math": math}
    exec(compile(functions(schedule, horizon_steps), f"<{schedule.family} schedule>", "exec"), names)
    return names["lr_at"], names.get("momentum_at")


def header(schedule: Schedule, horizon_steps: int, usage: str) -> str:
    """The docstring of an exported file: which schedule it is, and how it is used."""
    rates = f"from {schedule.start_lr!r} to {schedule.end_lr!r}"
    if schedule.peak_lr is not None:
        rates = f"from {schedule.start_lr!r} over {schedule.peak_lr!r} to {schedule.end_lr!r}"
    lines = [f'"""The {schedule.family} schedule over {horizon_steps} steps: {rates}.', ""]
    lines += [f"    {line}".rstrip() for line in usage.splitlines()]
    return "\n".join([*lines, '"""', ""])

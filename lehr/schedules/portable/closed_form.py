"""Writes a schedule's formula as plain Python functions, for frameworks that run Python code or take a rate table."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

from lehr.schedules.base import Schedule
from lehr.schedules.portable.torch_closed_form import torch_code

MAX_TABLE_STEPS = 10_000_000
"""Maximum number of rates kept in memory; a longer horizon is interpolated between this many points."""

RATIOS = '''def ratios_of(optimizer):
    """Each parameter group's rate as a part of the highest one; the groups keep these ratios."""
    rates = [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
    return [rate / max(rates) if max(rates) > 0 else 1.0 for rate in rates]
'''
SET_RATES = """    ratios = ratios_of(optimizer)
{refusal}    for group, ratio in zip(optimizer.param_groups, ratios):
        group["lr"] = group["initial_lr"] = {rate!r} * ratio
"""
REFUSAL = """    if len(set(ratios)) > 1:
        # {name} takes one {argument} for all groups; the export to "torch" keeps their ratios.
        raise ValueError("the parameter groups have several rates, and {name} one {argument}")
"""


def set_rates(rate: float, *, one_for_all: tuple[str, str] | None = None) -> str:
    """Lines of a function of `optimizer` that set the base rates of a framework's scheduler.

    `one_for_all`: the name of a scheduler that takes a single rate for all groups, and the name of that argument.
    """
    refusal = REFUSAL.format(name=one_for_all[0], argument=one_for_all[1]) if one_for_all else ""
    return SET_RATES.format(rate=rate, refusal=refusal)


def arguments_text(arguments: dict[str, object]) -> str:
    """Keyword arguments as source code."""
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


class Expression(str):
    """Python source code whose repr is the code itself, so that `arguments_text` inserts it unquoted."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def times_ratios(rate: float) -> Expression:
    """An expression for the rate of each parameter group, in code that defines `ratios`."""
    return Expression(f"[{rate!r} * ratio for ratio in ratios]")


def functions(schedule: Schedule, horizon_steps: int) -> str:
    """The definitions of `lr_at(step)` and, if it cycles momentum, `momentum_at(step)`; they need `math`."""
    text = torch_code(schedule, horizon_steps)
    found = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    return "\n\n\n".join(ast.get_source_segment(text, node) or "" for node in found) + "\n"


def compiled(schedule: Schedule, horizon_steps: int) -> tuple[Callable[[int], float], Callable[[int], float] | None]:
    """The compiled functions of `functions`: bit-identical to `lr_at`, in a fraction of the time."""
    names: dict[str, Any] = {"math": math}
    exec(compile(functions(schedule, horizon_steps), f"<{schedule.family} schedule>", "exec"), names)
    return names["lr_at"], names.get("momentum_at")

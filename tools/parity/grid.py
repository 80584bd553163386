"""Measures every family in every framework: exports each specimen, runs it, and keeps the largest difference."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lehr.schedules import FAMILIES, Schedule
from lehr.schedules.portable import Export, export
from tools.parity import running
from tools.parity.specimens import STEPS, specimens
from tools.parity.upstream import AbsentError

COLUMNS = {
    "torch_builtin": "torch",
    "optax": "optax",
    "keras": "Keras",
    "transformers": "transformers",
    "timm": "timm",
    "deepspeed": "DeepSpeed",
    "megatron": "Megatron-LM",
}
NAMES = {
    "torch_builtin": r"lr_scheduler\.(\w+)\(",
    "optax": r"optax\.(\w+)\(",
    "keras": r"schedules\.(\w+)\(",
    "transformers": r'get_scheduler\(\s*"(\w+)"',
    "timm": r"return (\w+)\(",
    "deepspeed": r'"type": "(\w+)"',
    "megatron": r"--lr-decay-style (\S+)",
}
"""Where the code of an export names the framework's schedules."""
NO_SCHEDULES = {"sgd", "adamw", "Adam"}


@dataclass
class Cell:
    """A family in a framework: the names it has there, and the largest difference found, of the highest rate."""

    names: list[str] = field(default_factory=list)
    difference: float | None = None
    measured: bool = True
    """Whether the framework's source is here."""


@dataclass
class Grid:
    """What was measured: cells by family and framework, and differences by framework and name there."""

    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    upstream: dict[tuple[str, str], float] = field(default_factory=dict)


def difference(schedule: Schedule, rates: list[float], steps: int = STEPS) -> float:
    """The largest difference between rates and the schedule's own, of the highest rate."""
    ours = schedule.curve(steps).lr
    return max(abs(one - other) for one, other in zip(ours, rates, strict=True)) / max(ours)


def measure() -> Grid:
    """All families in all frameworks; those of a framework that is not here stay unmeasured."""
    grid = Grid()
    for framework in COLUMNS:
        for family, kind in FAMILIES.items():
            if not kind.adaptive:
                grid.cells[family, framework] = _cell(family, framework, grid)
    return grid


def _cell(family: str, framework: str, grid: Grid) -> Cell:
    cell = Cell()
    for schedule in specimens(family):
        exported = export(schedule, framework, STEPS)
        if exported.form != "own":
            continue
        try:
            found = difference(schedule, running.rates(exported, STEPS))
        except AbsentError:
            cell.measured = False
            continue
        for name in names_of(exported):
            grid.upstream[framework, name] = max(found, grid.upstream.get((framework, name), 0.0))
            if name not in cell.names and len(cell.names) < 3 and cell.difference is None:
                cell.names.append(name)
        cell.difference = max(found, cell.difference or 0.0)
    return cell


def names_of(exported: Export) -> list[str]:
    """The framework's schedules that an export of its own uses, in order."""
    found = re.findall(NAMES[exported.framework], exported.code)
    return [name for name in dict.fromkeys(found) if name not in NO_SCHEDULES]

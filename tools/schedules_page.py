"""Prints docs/reference/schedules.md: every family with its formula, source and parameters.

python -m tools.schedules_page > docs/reference/schedules.md
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import MISSING, Field, fields
from typing import Any

from lehr.schedules import FAMILIES, Schedule
from lehr.schedules.parameters import parameter_of

HEAD = """# Schedules

<!-- Made by `python -m tools.schedules_page > docs/reference/schedules.md`; a test compares it with the code. -->

A schedule is a function of progress: step i of a horizon of n steps has progress p = i / (n - 1), from 0 to 1. All
fractions are of the whole horizon. Without a warm-up the rate goes from `start_lr` to `end_lr` by the family's formula.
With `warmup_fraction` w above 0 it first climbs from `start_lr` to `peak_lr` by `warmup_shape`, and the formula starts
from there. The formulas write `top` for the rate they start from, `end` for `end_lr`, and x = (p - w) / (1 - w).

The first step's rate is exactly `start_lr`; the last one's, and that of every step beyond the horizon, exactly
`end_lr`. A horizon of one step has `start_lr`. `torch_code(schedule, horizon_steps)` writes any of them as PyTorch code
that gives the same rates to the last bit.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, "## Fields of every schedule\n", *_table(fields(Schedule)), "", "## Families\n", *_overview(), ""]
    for family in FAMILIES.values():
        parts += _section(family)
    return "\n".join(parts).rstrip("\n") + "\n"


def _overview() -> Iterator[str]:
    yield "| family | what it does | rises by itself | may cycle momentum |"
    yield "|---|---|---|---|"
    for name, family in FAMILIES.items():
        yield f"| [`{name}`](#{name}) | {family.summary()} | {_yes(family.climbs)} | {_yes(family.cycles_momentum)} |"


def _section(family: type[Schedule]) -> Iterator[str]:
    yield f"### {family.family}\n"
    yield f"{family.summary()}\n"
    yield f"- Formula: `{family.formula}`"
    yield f"- Source: {family.source}\n"
    common = [(parameter_of(each), each.default) for each in fields(Schedule)]
    own = [each for each in fields(family) if (parameter_of(each), each.default) not in common]
    if own:
        yield from _table(own)
        yield ""


def _table(declared: Iterable[Field[Any]]) -> Iterator[str]:
    """A table of some fields."""
    yield "| field | meaning | allowed | default | searched by default |"
    yield "|---|---|---|---|---|"
    for each in declared:
        parameter = parameter_of(each)
        cells = (f"`{each.name}`", parameter.doc, parameter.bound, _default(each.default), _searched(parameter.search))
        yield f"| {' | '.join(cells)} |"


def _default(default: Any) -> str:
    if default is MISSING:
        return "required"
    return "none" if default is None else _value(default)


def _searched(search: tuple[Any, ...] | None) -> str:
    if search is None:
        return ""
    numbers = all(isinstance(each, (int, float)) for each in search)
    return f"{search[0]} to {search[1]}" if numbers else "; ".join(map(_value, search))


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _yes(fact: bool) -> str:
    return "yes" if fact else ""


if __name__ == "__main__":
    print(page(), end="")

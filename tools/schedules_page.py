"""Prints docs/reference/schedules.md: every family with its formula, source and parameters.

python -m tools.schedules_page > docs/reference/schedules.md
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import MISSING, Field, fields
from typing import Any

from lehr.schedules import COMPOSITIONS, FAMILIES, Schedule
from lehr.schedules.parameters import parameter_of

HEAD = """# Schedules

<!-- Made by `python -m tools.schedules_page > docs/reference/schedules.md`; a test compares it with the code. -->

A schedule is a function of progress: step i of a horizon of n steps has progress p = i / (n - 1), from 0 to 1. All
fractions are of the whole horizon. Without a warm-up the rate goes from `start_lr` to `end_lr` by the family's formula.
With `warmup_fraction` w above 0 it first climbs from `start_lr` to `peak_lr` by `warmup_shape`, and the formula starts
from there. The formulas write `top` for the rate they start from, `end` for `end_lr`, and x = (p - w) / (1 - w).

A search that names no families draws from those marked *default*, one that names others from these too; `piecewise`
is drawn by none. Where a family is marked *jumps*, its rate is not a continuous function of progress.

The first step's rate is exactly `start_lr`; the last one's, and that of every step beyond the horizon, exactly
`end_lr`. A horizon of one step has `start_lr`. `torch_code(schedule, horizon_steps)` writes any of them as PyTorch code
that gives the same rates to the last bit. `plateau` alone is adaptive: a metric of the training shapes its rates, the
worker keeps its state in the trial's checkpoint, and the answer lists the rates that the winning training had.
"""


COMPOSITIONS_HEAD = """## Compositions

Schedules made of other schedules are schedules too: they have JSON documents, curves, previews and exports. Their
documents hold those of their parts, in `schedule` or `parts`, and no rates of their own:

```json
{"family": "clipped", "schedule": {"family": "cosine", "start_lr": 0.1, "end_lr": 0.0}, "low": 0.001}
```

A search draws none of them; one can be enqueued as a trial of the user's own. In Python, `warmed_up` puts a climb
before any schedule, and `change_of_horizon` carries a run that is under way over to another number of steps.
"""


FIT = """## Which schedule is this curve?

`fit(rates)` takes the rates at all steps of a training, read off a log or a plot, and gives the nearest schedule of
each family that a search could draw, the likeliest family first, with its largest and its root-mean-square error
relative to the highest rate. A family with fewer parameters goes first where more of them explain no more than noise
would. It takes seconds; `families=[…]` tries some only. The same rates always have the same fit. The nearest of a
family is looked for, not proved: a family's own curves, drawn with parameters such as a search draws, are met within
0.5% of the highest rate (root mean square; a test draws them), nearly all of them within a millionth.

```python
from lehr.schedules import fit

best = fit(rates)[0]
best.schedule.to_dict(), best.max_error
```
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, "## Fields of every schedule\n", *_table(fields(Schedule)), "", "## Families\n", *_overview(), ""]
    for family in FAMILIES.values():
        parts += _section(family)
    parts += [COMPOSITIONS_HEAD]
    for composition in COMPOSITIONS.values():
        parts += _section(composition)
    parts += [FIT]
    return "\n".join(parts).rstrip("\n") + "\n"


def _overview() -> Iterator[str]:
    yield "| family | what it does | searched | rises by itself | may cycle momentum | jumps |"
    yield "|---|---|---|---|---|---|"
    for name, family in FAMILIES.items():
        searched = "default" if family.searchable else "on request" if family.drawable else ""
        facts = (family.climbs, family.cycles_momentum, not family.continuous)
        yield f"| [`{name}`](#{name}) | {family.summary()} | {searched} | {' | '.join(map(_yes, facts))} |"


def _section(family: type[Schedule]) -> Iterator[str]:
    yield f"### {family.family}\n"
    yield f"{family.summary()}\n"
    yield f"- Formula: `{family.formula}`"
    yield f"- Source: {family.source}\n"
    common = [(parameter_of(each), each.default) for each in fields(Schedule)]
    declared = [each for each in fields(family) if each.init and each.metadata]
    own = [each for each in declared if (parameter_of(each), each.default) not in common]
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

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
With `warmup_fraction` w above 0 it first rises from `start_lr` to `peak_lr` by `warmup_shape`, and the formula starts
from there. In the formulas, `top` is the rate that they start from, `end` is `end_lr`, and x = (p - w) / (1 - w).

By default a search uses the families marked *default*; a space can name the others. No search draws from `piecewise`.
The rate of a family marked *jumps* is not a continuous function of progress.

The first step's rate is exactly `start_lr`; the rate of the last step, and of every step beyond the horizon, is exactly
`end_lr`. A horizon of one step has `start_lr`. `torch_code(schedule, horizon_steps)` writes any schedule as PyTorch
code with bit-identical rates. `plateau` alone is adaptive: a metric of the training controls its rates, the worker
saves its state in the trial's checkpoint, and the answer lists the rates of the winning training.
"""


COMPOSITIONS_HEAD = """## Compositions

A composition is a schedule made of other schedules. It has a JSON document, curves, previews and exports like any
schedule. Its document contains those of its parts, in `schedule` or `parts`, and no rates:

```json
{"family": "clipped", "schedule": {"family": "cosine", "start_lr": 0.1, "end_lr": 0.0}, "low": 0.001}
```

A search does not draw compositions, but you can enqueue one. In Python, `warmed_up` adds a warm-up to any schedule, and
`change_of_horizon` continues a running training with a different number of steps.
"""


FIT = """## Which schedule is this curve?

`fit(rates)` takes the rates at all steps of a training, for example from a log or a plot. It returns the nearest
schedule of each family that a search could draw, the likeliest family first, with its largest and its root-mean-square
error relative to the highest rate. A family with fewer parameters ranks first if additional parameters explain no more
than noise would. Fitting takes seconds; `families=[…]` restricts the families. It is deterministic. The optimum is not
guaranteed: for curves of each family with parameters as a search draws them, the fit is within 0.5% of the highest rate
(root mean square; tested), and nearly always within a millionth.

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

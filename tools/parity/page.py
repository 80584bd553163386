"""Renders the parity page from the measurements."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from lehr.schedules import FAMILIES
from tools.parity.differences import DIFFERENCES
from tools.parity.grid import COLUMNS, Cell, Grid, measure
from tools.parity.names import COUNTERPARTS, MEASURED, NONE
from tools.parity.upstream import AbsentError

HEAD = """# Parity with other frameworks

<!-- Made by `python -m tools.parity --sources FOLDER > docs/reference/parity.md`; tests measure it again. -->

This page maps lehr's families to other frameworks' schedules, and shows whether the rates agree. Every figure is
measured by running the framework's own schedule, as `lehr export` writes it, and comparing 101 steps with lehr's rates.
It is the largest difference, relative to the highest rate, over several schedules of the family with and without
warm-ups. Differences below 1e-12 are rounding; optax and Keras compute in 32 bits, which leaves about 1e-7.

A number in brackets refers to the [differences](#differences) below. A dash means that the framework has no such
schedule. In that case, and if a framework has the family but not exactly these rates (it counts a warm-up in whole
steps, supports one shape of it, or starts it from 0), an export says so and computes or lists the rates by step
instead. These are exact, except for Megatron-LM, whose flags cannot express them. Lightning and
`lehr.torch.ScheduleLR` support every family.

"""
PROJECTS = {
    "torch": "torch",
    "optax": "optax",
    "keras": "Keras",
    "transformers": "transformers",
    "timm": "timm",
    "pytorch_optimizer": "pytorch_optimizer",
    "fastai": "fastai",
    "deepspeed": "DeepSpeed",
    "megatron-core": "Megatron-LM",
}
SOURCES = {"deepspeed": "0.19.8", "megatron-core": "0.16.1", "timm": "1.0.31", "fastai": "2.8.12"}
"""The versions of sources that are unpacked rather than installed."""
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "parity.md"


Rows = dict[str, list[str]]
"""The cells of a table's rows, by the first one."""


def page() -> str:
    """The whole page. Raises AbsentError where a framework's source is missing and the page says nothing yet."""
    grid, old = measure(), rows(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
    lines = [*_families(grid, old), "", *_upstream(grid), "", *_differences(old)]
    return HEAD + "\n".join(lines) + "\n"


def rows(text: str) -> Rows:
    """The rows of all tables on the page."""
    lines = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {first.strip().strip("`"): [each.strip() for each in rest] for first, *rest in lines}


def _families(grid: Grid, old: Rows) -> Iterator[str]:
    yield "## Families\n"
    yield f"Measured with {', '.join(f'{title} {_version(name)}' for name, title in PROJECTS.items())}.\n"
    yield "| family | " + " | ".join(COLUMNS.values()) + " |"
    yield "|---" * (len(COLUMNS) + 1) + "|"
    for family, kind in FAMILIES.items():
        if kind.adaptive:
            yield adaptive_row(family)
        else:
            kept = dict(zip(COLUMNS, old.get(family, []), strict=False))
            cells = [cell(family, framework, grid.cells[family, framework], kept) for framework in COLUMNS]
            yield f"| `{family}` | " + " | ".join(cells) + " |"


def adaptive_row(family: str) -> str:
    """The row of a family whose rates a metric shapes."""
    names = {"torch_builtin": ("torch", "ReduceLROnPlateau"), "transformers": ("transformers", "reduce_lr_on_plateau"),
             "optax": ("optax", "reduce_on_plateau"), "keras": ("Keras", "ReduceLROnPlateau")}  # fmt: skip
    has = {framework: f"equal {_figure(MEASURED[name]())}<br>`{name[1]}`" for framework, name in names.items()}
    return f"| `{family}` | " + " | ".join(has.get(framework, "–") for framework in COLUMNS) + " |"


def cell(family: str, framework: str, measured: Cell, kept: Mapping[str, str]) -> str:
    """What the table says of a family in a framework; as it was, where the framework's source is not here."""
    if not measured.measured:
        if framework not in kept:
            raise AbsentError(f"the source of {COLUMNS[framework]}")
        return kept[framework]
    notes = "".join(f" [{number}]" for number in _notes(family, COLUMNS[framework]))
    if measured.difference is None:
        return f"differs{notes}" if notes else "–"
    names = ", ".join(f"`{name}`" for name in measured.names)
    return f"equal {_figure(measured.difference)}{notes}" + (f"<br>{names}" if names else "")


def _notes(family: str, title: str) -> list[int]:
    return [number for number, each in enumerate(DIFFERENCES, 1) if each.framework == title and family in each.families]


def _upstream(grid: Grid) -> Iterator[str]:
    yield "## Every schedule of torch, optax, Keras and transformers\n"
    yield "| schedule | in lehr | difference |"
    yield "|---|---|---|"
    keys = {title: framework for framework, title in COLUMNS.items()}
    for title, names in COUNTERPARTS.items():
        for name, counterpart in names.items():
            yield f"| {title} `{name}` | {counterpart} | {_told(grid, title, keys[title], name, counterpart)} |"


def _told(grid: Grid, title: str, framework: str, name: str, counterpart: str) -> str:
    if counterpart.startswith(NONE):
        return "absent"
    found = grid.upstream.get((framework, name))
    if (title, name) in MEASURED:
        found = MEASURED[title, name]()
    notes = [
        number for number, each in enumerate(DIFFERENCES, 1) if each.framework == title and f"`{name}`" in each.how
    ]
    shown = "".join(f" [{number}]" for number in notes)
    if found is None:
        return f"differs{shown}"
    return f"equal {_figure(found)}{shown}"


def _differences(old: Rows) -> Iterator[str]:
    yield "## Differences\n"
    yield "| | framework | upstream's file | what differs | largest difference |"
    yield "|---|---|---|---|---|"
    for number, each in enumerate(DIFFERENCES, 1):
        how = re.sub(r"\s+", " ", each.how)
        try:
            size = f"{each.measure():.2g}"
        except AbsentError:
            size = old[str(number)][-1]
        yield f"| {number} | {each.framework} | {each.file} | {how} | {size} |"


def _figure(value: float) -> str:
    return "0" if value == 0 else f"{value:.0e}".replace("e-0", "e-")


def _version(name: str) -> str:
    try:
        return version(name).split("+")[0]
    except ImportError:
        return SOURCES[name]

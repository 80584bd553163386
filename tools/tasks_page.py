"""Writes the tables of docs/reference/tasks.md from the tasks' JSON Schemas: `python tools/tasks_page.py`.

The text around them is written by hand: each task's section ends with the table of its parameters.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "tasks.md"
HEAD = "| parameter | default | allowed | what it is |\n|---|---|---|---|\n"
TABLE = re.compile(r"(^## `([a-z]+)`$.*?)^\| parameter .*?(?=^$|\Z)", flags=re.MULTILINE | re.DOTALL)


def with_tables(page: str, schemas: Mapping[str, Mapping[str, Any]]) -> str:
    """The page with the table of each task's section written anew. `schemas`: by task."""
    return TABLE.sub(lambda found: found[1] + table(schemas[found[2]]), page)


def table(schema: Mapping[str, Any]) -> str:
    rows = [
        f"| `{name}` | {_shown(field['default'])} | {allowed(field)} | {field['description']} |\n"
        for name, field in schema["properties"].items()
    ]
    return HEAD + "".join(rows)


def allowed(field: Mapping[str, Any]) -> str:
    """A parameter's JSON Schema in words."""
    if "anyOf" in field:
        return " or ".join(allowed(choice) for choice in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"])
    if "pattern" in field:
        return "a name"
    low, high = field.get("minimum"), field.get("maximum")
    above, below = field.get("exclusiveMinimum"), field.get("exclusiveMaximum")
    if low is None and above is None:
        return str(field["type"])
    left = f"({above}" if low is None else f"[{low}"
    right = f"{below})" if high is None else f"{high}]"
    return f"{field['type']} in {left}, {right}"


def _shown(default: Any) -> str:
    return "null" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from workers.tasks.registry import TASKS, offers

    schemas = {offer.name: offer.params_schema or {} for offer in offers(TASKS)}
    PAGE.write_text(with_tables(PAGE.read_text(), schemas))


if __name__ == "__main__":
    main()

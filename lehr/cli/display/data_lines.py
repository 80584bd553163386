"""What was made of a study's data, as people read it."""

from __future__ import annotations

from lehr.wire.data import DataSummary

MOST_NAMES = 12
"""Of columns and of classes that are shown; all that were sent are in the study's document."""


def data_lines(data: DataSummary) -> list[str]:
    """What was made of the data, a line for each fact."""
    of_what = "rows" if data.columns_count is not None else "examples" if data.classes_count else "tokens"
    lines = [f"{data.source}: {data.rows} {of_what}"]
    for kind in ("numbers", "categories"):
        of_kind = [one for one in data.columns if one.kind == kind]
        names = [f"{one.name} ({one.missing} missing)" if one.missing else one.name for one in of_kind]
        if names:
            lines.append(f"{len(names)} columns of {kind}: {_some(names)}")
    if data.columns_count is not None and data.columns_count > len(data.columns):
        lines.append(f"and {data.columns_count - len(data.columns)} more columns")
    if data.target is not None:
        is_measured = data.columns_count is not None and not data.classes_count
        lines.append(f"target {data.target}" + (", measured" if is_measured else ""))
    if data.classes_count:
        counts = [f"{name} {count}" for name, count in data.classes.items()]
        lines.append(f"{data.classes_count} classes: {_some(counts)}")
    return [*lines, *(f"left out: {one}" for one in data.left_out)]


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    return f"{shown}, and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else shown

"""Formats the summary of a study's data."""

from __future__ import annotations

from lehr.wire.data import DataSummary

MOST_NAMES = 12
"""The most columns or classes to show; the study's document has all that were sent."""


def data_lines(data: DataSummary) -> list[str]:
    """The data summary, one line for each fact."""
    unit = "rows" if data.columns_count is not None else "examples" if data.classes_count else "tokens"
    lines = [f"{data.source}: {data.rows} {unit}"]
    for kind in ("numbers", "categories"):
        columns = [column for column in data.columns if column.kind == kind]
        names = [f"{column.name} ({column.missing} missing)" if column.missing else column.name for column in columns]
        if names:
            lines.append(f"{len(names)} columns of {kind}: {_some(names)}")
    if data.columns_count is not None and data.columns_count > len(data.columns):
        lines.append(f"and {data.columns_count - len(data.columns)} more columns")
    if data.target is not None:
        is_numeric = data.columns_count is not None and not data.classes_count
        lines.append(f"target {data.target}" + (", numeric" if is_numeric else ""))
    if data.classes_count:
        counts = [f"{name} {count}" for name, count in data.classes.items()]
        lines.append(f"{data.classes_count} classes: {_some(counts)}")
    return [*lines, *(f"left out: {sentence}" for sentence in data.left_out)]


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    return f"{shown}, and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else shown

"""What a task made of its data, cut to the size that a server takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from lehr.wire.data import (
    LONGEST_NAME,
    LONGEST_SENTENCE,
    MOST_CLASSES,
    MOST_COLUMNS,
    MOST_SENTENCES,
    DataColumn,
    DataSummary,
)
from workers.tasks.tabular.table import Table

STRAYS = "hidden, or left behind by operating systems and archives"
"""Why files are left out that are plainly no data: no doubt follows from them."""


def of_table(table: Table, classes: Mapping[str, int] | None) -> DataSummary:
    """`classes`: by name, how many rows each has; None where the target is measured."""
    inputs = [name for name in table.columns if name != table.target]
    columns = [_column(name, table) for name in inputs[:MOST_COLUMNS]]
    return DataSummary(
        source=_sentence(table.source),
        rows=table.rows,
        target=_name(table.target),
        columns=columns,
        columns_count=len(inputs),
        classes=_first(classes or {}),
        classes_count=None if classes is None else len(classes),
        left_out=_sentences(f"column {name!r}: {why}" for name, why in table.dropped.items()),
        doubts=_sentences(table.doubts),
    )


def of_pictures(source: str, classes: Mapping[str, int], left_out: Mapping[str, int]) -> DataSummary:
    files = {
        reason: f"{count} files {reason}" if count > 1 else f"one file {reason}" for reason, count in left_out.items()
    }
    doubtful = [said for reason, said in files.items() if reason != STRAYS]
    return DataSummary(
        source=_sentence(source),
        rows=sum(classes.values()),
        classes=_first(classes),
        classes_count=len(classes),
        left_out=_sentences(files.values()),
        doubts=_sentences([f"not all files of {source} are read: {', '.join(doubtful)}"] if doubtful else []),
    )


def of_text(source: str, tokens: str, count: int, limit: int | None) -> DataSummary:
    """`tokens`: what they are, such as `byte`. `count`: in the whole text, of which the first `limit` are read."""
    kept = count if limit is None else min(limit, count)
    left_out = [] if kept == count else [f"{count - kept} of {count} tokens: train_limit is {limit}"]
    return DataSummary(source=_sentence(source), rows=kept, target=f"the next {tokens}", left_out=_sentences(left_out))


def _column(name: str, table: Table) -> DataColumn:
    column = table.columns[name]
    if isinstance(column, np.ndarray):
        return DataColumn(name=_name(name), kind="numbers", missing=int(np.isnan(column).sum()))
    return DataColumn(name=_name(name), kind="categories", missing=column.count(None))


def _first(classes: Mapping[str, int]) -> dict[str, int]:
    return {_name(name): count for name, count in sorted(classes.items())[:MOST_CLASSES]}


def _sentences(texts: Iterable[str]) -> list[str]:
    found = [_sentence(text) for text in texts]
    if len(found) <= MOST_SENTENCES:
        return found
    return [*found[: MOST_SENTENCES - 1], f"and {len(found) - MOST_SENTENCES + 1} more"]


def _sentence(text: str) -> str:
    return _cut(text, LONGEST_SENTENCE)


def _name(text: str) -> str:
    return _cut(text, LONGEST_NAME)


def _cut(text: str, length: int) -> str:
    text = text.replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= length else f"{text[: length - 1]}…"

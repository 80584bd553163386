"""Summarizes how a task read its data, within the size limits of the server."""

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
"""The reason for leaving out files that are clearly not data, which raise no doubt."""


def of_table(table: Table, classes: Mapping[str, int] | None) -> DataSummary:
    """The summary of a table. `classes`: the number of rows by class; None for a regression target."""
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
    doubtful = [sentence for reason, sentence in files.items() if reason != STRAYS]
    return DataSummary(
        source=_sentence(source),
        rows=sum(classes.values()),
        classes=_first(classes),
        classes_count=len(classes),
        left_out=_sentences(files.values()),
        doubts=_sentences([f"not all files of {source} are read: {', '.join(doubtful)}"] if doubtful else []),
    )


def of_text(source: str, tokens: str, count: int, limit: int | None) -> DataSummary:
    """A text's summary. `tokens`: their kind, such as `byte`. `count`: in the whole text. `limit`: the most to read."""
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
    sentences = [_sentence(text) for text in texts]
    if len(sentences) <= MOST_SENTENCES:
        return sentences
    return [*sentences[: MOST_SENTENCES - 1], f"and {len(sentences) - MOST_SENTENCES + 1} more"]


def _sentence(text: str) -> str:
    return _cut(text, LONGEST_SENTENCE)


def _name(text: str) -> str:
    return _cut(text, LONGEST_NAME)


def _cut(text: str, length: int) -> str:
    text = text.replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= length else f"{text[: length - 1]}…"

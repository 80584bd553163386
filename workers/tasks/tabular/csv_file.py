"""Reads CSV tables: decides which columns are numbers and which are categories."""

from __future__ import annotations

from pathlib import Path

from workers.tasks.files import refuse
from workers.tasks.tabular.csv_text import read_rows
from workers.tasks.tabular.doubts import doubts_of_header, doubts_of_words
from workers.tasks.tabular.table import Numbers, Table, Wanted, Words, check_names, check_numbers, word
from workers.tasks.tabular.written_numbers import NEARLY_ALL, Column, Convention, column

NAMELESS = "(no name)"
INDEX_NAMES = ("", "Unnamed: 0")
"""The names that pandas gives a data frame's index column when it writes it, and when it reads it back."""


def read_csv(path: Path, wanted: Wanted) -> Table:
    """Read a table. Raises InvalidDataError."""
    rows = read_rows(path)
    cells = list(zip(*rows.rows, strict=True))
    index: dict[str, str] = {}
    if cells and rows.names[0] in INDEX_NAMES and _is_index(cells[0]):
        rows.names[0] = rows.names[0] or NAMELESS
        index[rows.names[0]] = "it numbers the rows, as the index of a data frame does"
    check_names(path, rows.names, "the first line")
    if not rows.rows:
        raise refuse(path, "it has no rows", "at least one", 0, "Put rows under the column names.")
    chosen = wanted.choose(path, rows.names, index)
    columns = [
        column(name, content, rows.lines)
        for name, content in zip(rows.names, cells, strict=True)
        if name not in chosen.dropped
    ]
    doubts = doubts_of_header(path, columns)
    if rows.empty:
        doubts.append(f"{rows.empty} rows without any content are left out")
    numeric = {part.name for part in columns if part.name not in wanted.categories and part.share >= NEARLY_ALL}
    marks = frozenset(mark for part in columns if part.name in numeric for mark in part.marks)
    convention = Convention(str(path), marks, wanted.decimal, "." if rows.delimiter == "," else None)
    read: dict[str, Numbers | Words] = {}
    markers: dict[str, str] = {}
    for part in columns:
        if part.name in numeric:
            read[part.name] = _numbers(path, part, convention)
            doubts += convention.doubts(part)
            continue
        words, marker = _words(part, as_written=part.name in wanted.categories)
        read[part.name] = words
        if marker is not None:
            markers[part.name] = marker
        if part.name not in wanted.categories:
            doubts += doubts_of_words(part.name, words, part.share)
    return Table(str(path), chosen.target, read, len(rows.rows), chosen.dropped, tuple(doubts), markers)


def _numbers(path: Path, part: Column, convention: Convention) -> Numbers:
    numbers = convention.numbers(part)
    check_numbers(path, part.name, numbers)
    return numbers


def _words(part: Column, *, as_written: bool) -> tuple[Words, str | None]:
    """The words of a column, and one of the cells, if any, that has text but counts as missing."""
    words = [(cell.strip() or None) if as_written else word(cell) for cell in part.cells]
    pairs = zip(part.cells, words, strict=True)
    return words, next((cell.strip() for cell, value in pairs if value is None and cell.strip()), None)


def _is_index(cells: tuple[str, ...]) -> bool:
    return len(set(cells)) == len(cells) and all(cell.strip().isdecimal() for cell in cells)

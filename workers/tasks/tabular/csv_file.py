"""Tables in CSV: one line of column names, then the rows; comma, semicolon, tab or bar between cells."""

from __future__ import annotations

from pathlib import Path

from workers.tasks.files import refuse
from workers.tasks.tabular.csv_text import read_rows
from workers.tasks.tabular.doubts import doubts_of_header, doubts_of_words
from workers.tasks.tabular.table import Numbers, Table, Wanted, Words, check_names, check_numbers, word
from workers.tasks.tabular.written_numbers import NEARLY_ALL, Column, Convention, column

NAMELESS = "(no name)"
INDEX_NAMES = ("", "Unnamed: 0")
"""What pandas calls the first column where it writes a frame's index, and where it has read that back."""


def read_csv(path: Path, wanted: Wanted) -> Table:
    """Raises InvalidDataError."""
    rows = read_rows(path)
    cells = list(zip(*rows.rows, strict=True))
    index: dict[str, str] = {}
    if cells and rows.names[0] in INDEX_NAMES and _is_index(cells[0]):
        rows.names[0] = rows.names[0] or NAMELESS
        index[rows.names[0]] = "it numbers the rows, as the index of a data frame does"
    check_names(path, rows.names, "the first line")
    if not rows.rows:
        raise refuse(path, "it holds no row", "at least one", 0, "Put rows under the column names.")
    chosen = wanted.choose(path, rows.names, index)
    columns = [
        column(name, content, rows.lines)
        for name, content in zip(rows.names, cells, strict=True)
        if name not in chosen.dropped
    ]
    doubts = doubts_of_header(path, columns)
    if rows.empty:
        doubts.append(f"{rows.empty} rows without any content are left out")
    numeric = {one.name for one in columns if one.name not in wanted.categories and one.share >= NEARLY_ALL}
    marks = frozenset(mark for one in columns if one.name in numeric for mark in one.marks)
    convention = Convention(str(path), marks, wanted.decimal, "." if rows.delimiter == "," else None)
    read: dict[str, Numbers | Words] = {}
    markers: dict[str, str] = {}
    for one in columns:
        if one.name in numeric:
            read[one.name] = _numbers(path, one, convention)
            doubts += convention.doubts(one)
            continue
        words, taken = _words(one, as_written=one.name in wanted.categories)
        read[one.name] = words
        if taken is not None:
            markers[one.name] = taken
        if one.name not in wanted.categories:
            doubts += doubts_of_words(one.name, words, one.share)
    return Table(str(path), chosen.target, read, len(rows.rows), chosen.dropped, tuple(doubts), markers)


def _numbers(path: Path, one: Column, convention: Convention) -> Numbers:
    numbers = convention.numbers(one)
    check_numbers(path, one.name, numbers)
    return numbers


def _words(one: Column, *, as_written: bool) -> tuple[Words, str | None]:
    """And a cell that counts as missing though it holds text."""
    words = [(cell.strip() or None) if as_written else word(cell) for cell in one.cells]
    pairs = zip(one.cells, words, strict=True)
    return words, next((cell.strip() for cell, found in pairs if found is None and cell.strip()), None)


def _is_index(cells: tuple[str, ...]) -> bool:
    return len(set(cells)) == len(cells) and all(cell.strip().isdecimal() for cell in cells)

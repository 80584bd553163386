"""Tables in CSV: one line of column names, then the rows; in UTF-8; comma, semicolon or tab between cells."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np

from workers.tasks.files import read_up_to, refuse
from workers.tasks.tabular.table import LARGEST_BYTES, Numbers, Table, Words, check_names, check_numbers, word

DELIMITERS = ",;\t"


def read_csv(path: Path) -> Table:
    """The delimiter is the one that the first line holds most of. Raises InvalidDataError."""
    try:
        text = read_up_to(path, LARGEST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refuse(
            path, "this is no text", "CSV in UTF-8", f"byte {error.start}", "Save it as CSV in UTF-8."
        ) from None
    header, _, _ = text.partition("\n")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=header.count), strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        rows = [_checked(path, reader.line_num, row, len(names)) for row in reader if row]
    except csv.Error as error:
        raise refuse(path, f"line {reader.line_num} cannot be read", "CSV", str(error), "Correct the line.") from None
    check_names(path, names, "the first line")
    if not rows:
        raise refuse(path, "it holds no row", "at least one", 0, "Put rows under the column names.")
    cells = zip(*rows, strict=True)
    columns = {name: _column(path, name, list(column)) for name, column in zip(names, cells, strict=True)}
    return Table(str(path), columns, len(rows))


def _checked(path: Path, line: int, row: list[str], width: int) -> list[str]:
    if len(row) != width:
        raise refuse(path, f"line {line} has another number of cells", f"{width}", len(row), "Correct the line.")
    return row


def _column(path: Path, name: str, cells: list[str]) -> Numbers | Words:
    """Numbers if every cell that holds something is one. Raises InvalidDataError for one that is too large."""
    words = [word(cell) for cell in cells]
    try:
        numbers = np.array([math.nan if cell is None else float(cell) for cell in words])
    except ValueError:
        return words
    check_numbers(path, name, numbers)
    return numbers

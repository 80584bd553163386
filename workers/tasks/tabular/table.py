"""A table by columns, and how one is read."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workers.tasks.files import MissingDataError, Stamp, read_up_to, refuse, stamp

LARGEST_BYTES = 1 << 30
LARGEST_NUMBER = 1e100
"""Far beyond it, squares are infinite, and nothing could be scaled."""
MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "none"})
"""How a cell says that it holds nothing, whatever its case."""
DELIMITERS = ",;\t"
BUNDLED = ("breast_cancer", "wine", "diabetes")
TARGET = "target"

Numbers = NDArray[np.float64]
"""A column of numbers; NaN where one is missing."""
Words = list[str | None]
"""A column of categories; None where one is missing."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length, in the file's order."""

    source: str
    columns: Mapping[str, Numbers | Words]
    rows: int


def locate(file: str, data_dir: Path) -> Stamp:
    """The file as it is now; nothing for a table that comes with scikit-learn. Raises MissingDataError."""
    if file in BUNDLED:
        return ()
    path = data_dir / file
    if not path.is_file():
        known = ", ".join(BUNDLED)
        raise MissingDataError(file, [path], f"Put a CSV file there, or name a table of scikit-learn: {known}.")
    return stamp([path])


def read(file: str, files: Stamp) -> Table:
    """Raises InvalidDataError."""
    return read_csv(files[0][0]) if files else _bundled(file)


def read_csv(path: Path) -> Table:
    """A file with one line of column names, in UTF-8; comma, semicolon or tab between cells, as the first line says."""
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
    _check_names(path, names)
    if not rows:
        raise refuse(path, "it holds no row", "at least one", 0, "Put rows under the column names.")
    cells = zip(*rows, strict=True)
    columns = {name: _column(path, name, list(column)) for name, column in zip(names, cells, strict=True)}
    return Table(str(path), columns, len(rows))


def _checked(path: Path, line: int, row: list[str], width: int) -> list[str]:
    if len(row) != width:
        raise refuse(path, f"line {line} has another number of cells", f"{width}", len(row), "Correct the line.")
    return row


def _check_names(path: Path, names: list[str]) -> None:
    wrong = next((name for name in names if not name or names.count(name) > 1), None)
    if wrong is not None or len(names) < 2:
        raise refuse(
            path,
            "the first line does not name the columns",
            "at least two different names",
            wrong if wrong is not None else ", ".join(names),
            "Name every column in the first line.",
        )


def _column(path: Path, name: str, cells: list[str]) -> Numbers | Words:
    """Numbers if every cell that holds something is one. Raises InvalidDataError for one that is too large."""
    words = [None if cell.strip().lower() in MISSING else cell.strip() for cell in cells]
    try:
        numbers = np.array([math.nan if word is None else float(word) for word in words])
    except ValueError:
        return words
    large = np.abs(numbers) > LARGEST_NUMBER
    if large.any():
        row = int(large.argmax())
        place = f"row {row + 1} of column {name!r}"
        raise refuse(path, f"{place} is too large", f"at most {LARGEST_NUMBER:g}", words[row], "Correct the cell.")
    return numbers


def _bundled(file: str) -> Table:
    from sklearn import datasets

    found = getattr(datasets, f"load_{file}")()
    columns: dict[str, Numbers | Words] = {
        str(name): np.asarray(found.data[:, index], dtype=np.float64) for index, name in enumerate(found.feature_names)
    }
    if file == "diabetes":
        columns[TARGET] = np.asarray(found.target, dtype=np.float64)
    else:
        columns[TARGET] = [str(found.target_names[label]) for label in found.target]
    return Table(f"sklearn.datasets.load_{file}", columns, len(found.target))

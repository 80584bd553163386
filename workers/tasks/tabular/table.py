"""A table by columns, and where one is read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workers.tasks.files import refuse

LARGEST_BYTES = 1 << 30
LARGEST_NUMBER = 1e100
"""Far beyond it, squares are infinite, and nothing could be scaled."""
MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "none"})
"""How a cell says that it holds nothing, whatever its case."""

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


def word(cell: str) -> str | None:
    """What a cell of text holds; None where it says that it holds nothing."""
    cell = cell.strip()
    return None if cell.lower() in MISSING else cell


def check_names(path: Path, names: Sequence[str], place: str) -> None:
    """Raises InvalidDataError unless every column has a name of its own, in the file's `place` for it."""
    wrong = next((name for name in names if not name or names.count(name) > 1), None)
    if wrong is not None or len(names) < 2:
        raise refuse(
            path,
            f"{place} does not name the columns",
            "at least two different names",
            wrong if wrong is not None else ", ".join(names),
            f"Name every column in {place}.",
        )


def check_numbers(path: Path, name: str, numbers: Numbers) -> None:
    """Raises InvalidDataError for a number that could not be scaled."""
    large = np.abs(numbers) > LARGEST_NUMBER
    if large.any():
        row = int(large.argmax())
        place = f"row {row + 1} of column {name!r}"
        raise refuse(
            path, f"{place} is too large", f"at most {LARGEST_NUMBER:g}", f"{numbers[row]:g}", "Correct the cell."
        )

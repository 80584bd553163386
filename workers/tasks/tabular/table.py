"""A table by columns, a study's choice of columns, and checks of names and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workers.tasks.files import InvalidDataError, refuse

DecimalMark = Literal[".", ","]
LARGEST_BYTES = 1 << 30
LARGEST_NUMBER = 1e100
"""The largest number of a table; the squares of much larger ones are infinite, so they could not be scaled."""
MOST_COLUMNS = 1 << 14
MOST_CELLS = 1 << 27
MISSING = frozenset(
    {"", "?", "na", "n/a", "#n/a", "#n/a n/a", "#na", "#nv", "<na>", "nan", "-nan", "nat", "null", "none"}
)
"""Cells that mean a missing value, in lower case."""
NO_NUMBER = MISSING | {
    *("-", "--", "---", ".", "\u2013", "\u2014", "(null)", "\\n"),
    *("#value!", "#div/0!", "#ref!", "#num!", "#name?", "#null!", "1.#qnan", "-1.#ind"),
}
"""Cells that mean a missing value in a column of numbers, including spreadsheet errors."""

Numbers = NDArray[np.float64]
"""A column of numbers; NaN for missing ones."""
Words = list[str | None]
"""A column of categories; None for missing ones."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length, in the file's order: the inputs and the target."""

    source: str
    target: str
    columns: Mapping[str, Numbers | Words]
    rows: int
    dropped: Mapping[str, str] = field(default_factory=dict)
    """Columns of the file that are left out, and why."""
    doubts: tuple[str, ...] = ()
    """Sentences about what may have been misread."""
    markers: Mapping[str, str] = field(default_factory=dict)
    """For columns of words, a cell with text that counts as missing."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A study's choices for reading a table."""

    target: str | None = None
    """None: the last column that is not left out."""
    columns: tuple[str, ...] = ()
    """The inputs; empty for all columns."""
    drop: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    """Columns whose cells are categories exactly as written, unless empty."""
    decimal: DecimalMark | None = None

    def choose(self, source: Path | str, names: Sequence[str], index: Mapping[str, str]) -> Chosen:
        """The target and the columns to drop. `index`: columns to drop because they number the rows, with the reason.

        Raises InvalidDataError for an unknown column, and if no input is left.
        """
        left = {name: index.get(name, "the parameter `drop` names it") for name in names if self._leaves(name, index)}
        kept = [name for name in names if name not in left]
        for parameter in ("columns", "drop", "categories"):
            for name in getattr(self, parameter):
                if name not in names or (name in left and parameter != "drop"):
                    raise _no_column(source, f"the parameter `{parameter}` names an unknown column", name, kept)
        target = self.target if self.target is not None else next(reversed(kept), "")
        if target not in kept:
            raise _no_column(source, "the target is not a column", target, kept)
        if self.columns:
            unnamed = [name for name in kept if name != target and name not in self.columns]
            left |= dict.fromkeys(unnamed, "the parameter `columns` does not name it")
        if len(names) - len(left) < 2:
            raise refuse(source, "no input is left", "one column beside the target", target, "Leave out fewer columns.")
        return Chosen(target, left)

    def _leaves(self, name: str, index: Mapping[str, str]) -> bool:
        return name in self.drop or name in index


@dataclass(frozen=True, slots=True)
class Chosen:
    """The target's name, and the columns that are neither input nor target, with the reason."""

    target: str
    dropped: Mapping[str, str]


def _no_column(source: Path | str, message: str, name: str, names: Sequence[str]) -> InvalidDataError:
    return refuse(source, message, f"one of {', '.join(names[:50])}", name, "Name one of these.")


def word(cell: str) -> str | None:
    """The word in a text cell; None for a missing value."""
    cell = cell.strip()
    return None if cell.lower() in MISSING else cell


def check_names(path: Path, names: Sequence[str], place: str) -> None:
    """Raises InvalidDataError unless every column has a unique name. `place`: where the file has the names."""
    if len(names) > MOST_COLUMNS:
        raise refuse(
            path, "it has too many columns", f"at most {MOST_COLUMNS}", len(names), "Leave out columns, or join them."
        )
    counts = Counter(names)
    wrong = next((name for name in names if not name or counts[name] > 1), None)
    if wrong is not None or len(names) < 2:
        raise refuse(
            path,
            f"{place} does not name the columns",
            "at least two different names",
            wrong if wrong is not None else ", ".join(names),
            f"Name every column in {place}.",
        )


def check_numbers(path: Path, name: str, numbers: Numbers) -> None:
    """Raises InvalidDataError for a number that is too large to be scaled."""
    large = np.abs(numbers) > LARGEST_NUMBER
    if large.any():
        row = int(large.argmax())
        place = f"row {row + 1} of column {name!r}"
        raise refuse(
            path, f"{place} is too large", f"at most {LARGEST_NUMBER:g}", f"{numbers[row]:g}", "Correct the cell."
        )

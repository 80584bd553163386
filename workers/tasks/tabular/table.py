"""A table by columns, and where one is read from."""

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
"""Far beyond it, squares are infinite, and nothing could be scaled."""
MOST_COLUMNS = 1 << 14
MOST_CELLS = 1 << 27
MISSING = frozenset(
    {"", "?", "na", "n/a", "#n/a", "#n/a n/a", "#na", "#nv", "<na>", "nan", "-nan", "nat", "null", "none"}
)
"""How a cell says that it holds nothing, whatever its case."""
NO_NUMBER = MISSING | {
    *("-", "--", "---", ".", "\u2013", "\u2014", "(null)", "\\n"),
    *("#value!", "#div/0!", "#ref!", "#num!", "#name?", "#null!", "1.#qnan", "-1.#ind"),
}
"""The same among numbers, with the errors of spreadsheets."""

Numbers = NDArray[np.float64]
"""A column of numbers; NaN where one is missing."""
Words = list[str | None]
"""A column of categories; None where one is missing."""


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
    """What may have been misread, one sentence each."""
    markers: Mapping[str, str] = field(default_factory=dict)
    """Of columns of words, a cell that was taken for missing though it holds text."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a study asks for a table to be read; empty: as the file says."""

    target: str | None = None
    """None: the last column that is not left out."""
    columns: tuple[str, ...] = ()
    """The only inputs; none named: all."""
    drop: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    """Columns whose cells are words as they are written, unless they are empty."""
    decimal: DecimalMark | None = None

    def choose(self, source: Path | str, names: Sequence[str], index: Mapping[str, str]) -> Chosen:
        """`index`: columns that number the rows, and why that is known; they are left out.

        Raises InvalidDataError for a name that is no column, and where no input is left.
        """
        left = {name: index.get(name, "the parameter `drop` names it") for name in names if self._leaves(name, index)}
        kept = [name for name in names if name not in left]
        for parameter in ("columns", "drop", "categories"):
            for name in getattr(self, parameter):
                if name not in names or (name in left and parameter != "drop"):
                    raise _no_column(source, f"the parameter `{parameter}` names no column", name, kept)
        target = self.target if self.target is not None else next(reversed(kept), "")
        if target not in kept:
            raise _no_column(source, "the target is no column", target, kept)
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
    """The target's name; and the columns that are neither input nor target, and why."""

    target: str
    dropped: Mapping[str, str]


def _no_column(source: Path | str, message: str, name: str, names: Sequence[str]) -> InvalidDataError:
    return refuse(source, message, f"one of {', '.join(names[:50])}", name, "Name one of these.")


def word(cell: str) -> str | None:
    """What a cell of text holds; None where it says that it holds nothing."""
    cell = cell.strip()
    return None if cell.lower() in MISSING else cell


def check_names(path: Path, names: Sequence[str], place: str) -> None:
    """Raises InvalidDataError unless every column has a name of its own, in the file's `place` for it."""
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
    """Raises InvalidDataError for a number that could not be scaled."""
    large = np.abs(numbers) > LARGEST_NUMBER
    if large.any():
        row = int(large.argmax())
        place = f"row {row + 1} of column {name!r}"
        raise refuse(
            path, f"{place} is too large", f"at most {LARGEST_NUMBER:g}", f"{numbers[row]:g}", "Correct the cell."
        )

"""Finds columns and headers of a table that were read but may have been misunderstood."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from workers.tasks.files import refuse
from workers.tasks.tabular.table import Words
from workers.tasks.tabular.written_numbers import A_FEW, NEARLY_ALL, Column, read_number

MANY_WORDS = 64


def doubts_of_words(name: str, words: Words, share: float) -> list[str]:
    """Doubts about a column of words. `share`: of its cells that can be read as numbers."""
    present = [word for word in words if word is not None]
    if not present:
        return []
    if share >= A_FEW:
        example = next(word for word in present if read_number(word) is not None)
        return [f"column {name!r} is read as categories, though {share:.0%} of it are numbers, such as {example!r}"]
    different = len(set(present))
    if different > MANY_WORDS and different > len(present) / 2:
        return [
            f"column {name!r} is read as categories, and holds {different} different ones in {len(words)} rows: "
            "if it identifies the rows or is a text, name it in the parameter `drop`"
        ]
    return []


def doubts_of_header(path: Path, columns: Sequence[Column]) -> list[str]:
    """Doubts about the header. Raises InvalidDataError if the first line is a row rather than a header."""
    repeated = [column.name for column in columns if column.share < NEARLY_ALL and column.name in column.cells]
    numbers = [column.name for column in columns if read_number(column.name) is not None]
    measured = [
        column.name for column in columns if column.share >= NEARLY_ALL and read_number(column.name) is not None
    ]
    if len(repeated) == len(columns) or (measured and (repeated or not _steps_evenly(numbers))):
        bound = "names in the first line"
        remedy = "Put a line with a name for each column above it."
        raise refuse(path, "the first line is a row, and does not name the columns", bound, columns[0].name, remedy)
    doubts = [f"the name of column {name!r} is also in a row: is the first line a row?" for name in repeated]
    if numbers:
        doubts.append(f"numbers in the first line, such as {numbers[0]!r}, are read as column names")
    return doubts


def _steps_evenly(names: Sequence[str]) -> bool:
    """Whether the names are evenly spaced numbers, such as years or the default names of a data frame."""
    if len(names) < 2 or not all(name.isdecimal() for name in names):
        return False
    steps = {int(after) - int(before) for before, after in itertools.pairwise(names)}
    return len(steps) == 1 and steps != {0}

"""Splits a CSV file into rows of cells: detects the encoding and the delimiter, and checks the header."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from workers.tasks.files import read_up_to, refuse
from workers.tasks.tabular.table import LARGEST_BYTES, MOST_CELLS

DELIMITERS = ",;\t|"
LINES_TRIED = 50
"""The number of rows from which the delimiter is detected."""
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;\t|]*\r?(?:\n|$|(?<=\r))', re.IGNORECASE)
"""A first line that tells Excel the delimiter."""

Row = tuple[int, list[str]]
"""The 1-based number of the row's last line in the file, and its cells."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A table as text. Every row has as many cells as there are names."""

    names: list[str]
    rows: list[list[str]]
    lines: list[int]
    delimiter: str
    empty: int
    """Number of rows without any content, which are left out."""


def read_rows(path: Path) -> Rows:
    """Split a file into rows. Raises InvalidDataError."""
    text = _decoded(path)
    separator = _SEPARATOR_LINE.match(text)
    skipped = 0
    if separator is not None:
        text, skipped = text[separator.end() :], 1
    delimiter = separator[1] if separator is not None else _delimiter(text)
    if delimiter in '"\r\n':
        raise refuse(path, "its first line names no delimiter", "sep=; or similar", delimiter, "Remove the line.")
    filled: list[Row] = []
    empty = cells = 0
    for line, row in _rows(path, text, delimiter, skipped):
        cells += len(row)
        if cells > MOST_CELLS:
            raise refuse(path, "it is too large", f"at most {MOST_CELLS} cells", "more", "Name a smaller file.")
        if any(cell.strip() for cell in row):
            filled.append((line, row))
        else:
            empty += len(row) > 1
    return _checked(path, filled, delimiter, empty)


def _decoded(path: Path) -> str:
    content = read_up_to(path, LARGEST_BYTES)
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8-sig")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise refuse(
            path, "this is not text", "CSV in UTF-8", f"byte {error.start}", "Save it as CSV in UTF-8."
        ) from None
    if "\0" in text:
        raise refuse(path, "this is not text", "CSV in UTF-8", f"a zero at {text.index(chr(0))}", "Save it as UTF-8.")
    return text


def _delimiter(text: str) -> str:
    """The delimiter that splits the first lines into the most cells, the same number in each.

    If there is none, the delimiter that is most frequent in the first line.
    """
    best, most = None, 1
    for candidate in DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=candidate)
        try:
            widths = {len(row) for row in islice(reader, LINES_TRIED) if row}
        except csv.Error:
            continue
        if len(widths) == 1 and (width := widths.pop()) > most:
            best, most = candidate, width
    header = re.split(r"[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]
    return best or max(DELIMITERS, key=header.count)


def _rows(path: Path, text: str, delimiter: str, skipped: int) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            yield reader.line_num + skipped, row
    except csv.Error as error:
        line = reader.line_num + skipped
        raise refuse(path, f"line {line} cannot be read", "CSV", str(error), "Correct the line.") from None


def _checked(path: Path, filled: list[Row], delimiter: str, empty: int) -> Rows:
    if not filled:
        raise refuse(path, "the first line does not name the columns", "two names or more", "nothing", "Name them.")
    (first_line, first), rest = filled[0], filled[1:]
    names = [name.strip() for name in first]
    widths = Counter(len(row) for _, row in rest)
    usual = widths.most_common(1)[0][0] if widths else len(names)
    if names[0].startswith("#") and (len(names) != usual or len(names) < 2):
        raise refuse(path, f"line {first_line} is a comment", "the columns' names", names[0][:80], _NAMES_FIRST)
    if len(names) != usual and widths[len(names)] * 2 < len(rest):
        bound = f"{usual} cells, as in most lines"
        raise refuse(path, f"line {first_line} does not name the columns", bound, f"{len(names)} cells", _NAMES_FIRST)
    for line, row in rest:
        if len(row) != len(names):
            remedy = "Correct the line; a cell that contains the delimiter must be quoted."
            raise refuse(path, f"line {line} has another number of cells", f"{len(names)}", len(row), remedy)
    return Rows(names, [row for _, row in rest], [line for line, _ in rest], delimiter, empty)


_NAMES_FIRST = "Remove everything above the column names, and name each column once in the first line."

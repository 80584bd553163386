"""Parses numbers as spreadsheets write them, and decides which decimal mark a column uses.

A cell may have a sign, thousands separated by a comma, a point, a space, an apostrophe or an underscore, an exponent, a
percent sign or a currency symbol; a negative number may be in parentheses. `1,234` is 1234 or 1.234: the other cells of
the column decide, then those of the file. If they do not, the table is refused.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from workers.tasks.files import InvalidDataError, refuse
from workers.tasks.tabular.table import NO_NUMBER, DecimalMark, Numbers

NEARLY_ALL = 0.8
"""The share of numbers from which a column is numeric, and its other cells are errors."""
A_FEW = 0.05
"""The share of numbers from which a column of words gets a warning."""

_SPACES = " \u00a0\u2007\u2009\u202f"
_GROUPS = rf"{_SPACES}'\u2019_"
_MINUS = str.maketrans(dict.fromkeys("\u2212\u2013\ufe63\uff0d", "-"))
_PLAIN = re.compile(r"[+-]?(?:(?P<whole>[0-9]+)|[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_THOUSAND_OR_FRACTION = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")
_CURRENCIES = "".join(chr(point) for point in range(0x10000) if unicodedata.category(chr(point)) == "Sc")
_PARTS = re.compile(
    rf"(?P<open>\()?\s*(?P<outer>[+-])?\s*(?P<before>[{re.escape(_CURRENCIES)}])?\s*(?P<inner>[+-])?\s*"
    rf"(?P<body>[0-9.,].*?)\s*(?P<after>[%{re.escape(_CURRENCIES)}])?\s*(?P<close>\))?"
)
_INFINITE = re.compile(r"[+-]?(?:inf|infinity|1\.#inf)", re.IGNORECASE)


def _pattern(decimal: str, group: str) -> re.Pattern[str]:
    grouped = rf"[1-9][0-9]{{0,2}}(?P<group>[{group}{_GROUPS}])[0-9]{{3}}(?:(?P=group)[0-9]{{3}})*"
    indian = rf"[1-9][0-9]?(?:{group}[0-9]{{2}})+{group}[0-9]{{3}}"
    fraction = rf"(?:{decimal}[0-9]*)?"
    plain = rf"(?:[0-9]+{fraction}|{decimal}[0-9]+)(?:[eE][+-]?[0-9]+)?"
    return re.compile(rf"{plain}|(?:{grouped}|{indian}){fraction}")


_PATTERNS: Mapping[DecimalMark, re.Pattern[str]] = {".": _pattern(r"\.", ","), ",": _pattern(",", r"\.")}
_OTHER_MARK: Mapping[DecimalMark, DecimalMark] = {".": ",", ",": "."}


class Written(NamedTuple):
    """A cell that is a number: its value for each decimal mark, None if the mark does not fit, and its unit."""

    point: float | None
    comma: float | None
    unit: str

    def value(self, mark: DecimalMark) -> float | None:
        return self.point if mark == "." else self.comma


def read_number(cell: str) -> Written | None:
    """The number in a cell; None if it is not a number in any convention. NaN and hexadecimals do not count."""
    text = cell.strip()
    plain = _PLAIN.fullmatch(text)
    if plain is not None and _THOUSAND_OR_FRACTION.fullmatch(text) is None:
        # A fast path for most cells; the rest takes five times as long.
        value = float(text)
        return Written(value, value if plain["whole"] else None, "")
    if not text.isascii():
        text = "".join(_ascii(character) for character in text).translate(_MINUS)
    if _INFINITE.fullmatch(text):
        return Written(math.inf, math.inf, "")
    parts = _PARTS.fullmatch(text)
    if parts is None:
        return None
    signs = [part for part in (parts["open"], parts["outer"], parts["inner"]) if part]
    units = [part for part in (parts["before"], parts["after"]) if part]
    if len(signs) > 1 or len(units) > 1 or bool(parts["open"]) != bool(parts["close"]):
        return None
    sign, unit = ("" if signs in ([], ["+"]) else "-"), "".join(units)
    point, comma = (_value(sign, parts["body"], mark, unit) for mark in (".", ","))
    return None if point is None and comma is None else Written(point, comma, unit)


def _ascii(character: str) -> str:
    return str(unicodedata.decimal(character)) if character.isdecimal() else character


def _value(sign: str, body: str, mark: DecimalMark, unit: str) -> float | None:
    if _PATTERNS[mark].fullmatch(body) is None:
        return None
    digits = re.sub(rf"[{re.escape(_OTHER_MARK[mark])}{_GROUPS}]", "", body).replace(mark, ".")
    if unit == "%":
        mantissa, _, exponent = digits.lower().partition("e")
        # The decimal point is moved in the text, because a division would round a second time.
        digits = f"{mantissa}e{int(exponent or 0) - 2}"
    return float(sign + digits)


@dataclass(frozen=True)
class Column:
    """The cells of one column. `written`: each cell as a number, or None."""

    name: str
    cells: Sequence[str]
    lines: Sequence[int]
    """The 1-based line of the file for each cell."""
    written: Sequence[Written | None]

    @cached_property
    def present(self) -> list[int]:
        return [place for place, cell in enumerate(self.cells) if cell.strip().lower() not in NO_NUMBER]

    @cached_property
    def share(self) -> float:
        """The share of numbers among the cells with content; 1 if there are none."""
        present = self.present
        return sum(self.written[place] is not None for place in present) / len(present) if present else 1.0

    @cached_property
    def marks(self) -> set[DecimalMark]:
        """The decimal marks that some cell requires."""
        marks: set[DecimalMark] = set()
        for number in self.written:
            if number is not None and (number.point is None or number.comma is None):
                marks.add("," if number.point is None else ".")
        return marks

    @cached_property
    def unclear(self) -> int | None:
        """The place of the first cell whose value depends on the decimal mark."""
        both = (p for p, number in enumerate(self.written) if number is not None and None not in number[:2])
        return next((place for place in both if self.written[place].point != self.written[place].comma), None)  # type: ignore[union-attr]


def column(name: str, cells: Sequence[str], lines: Sequence[int]) -> Column:
    return Column(name, cells, lines, [read_number(cell) for cell in cells])


@dataclass(frozen=True, slots=True)
class Convention:
    """How a file writes numbers. `marks`: the decimal marks that its columns require."""

    source: str
    marks: frozenset[DecimalMark]
    chosen: DecimalMark | None
    """The decimal mark in the study's parameters."""
    usual: DecimalMark | None
    """The mark that the file's delimiter implies: the point if commas separate the cells."""

    def mark(self, of: Column) -> DecimalMark:
        """The column's decimal mark. Raises InvalidDataError if it mixes marks, or its mark is ambiguous."""
        if self.chosen is not None:
            return self.chosen
        own = of.marks
        if len(own) == 2:
            first = next(p for p, number in enumerate(of.written) if number is not None and number.point is None)
            raise self._fault(of, first, "the column mixes decimal commas and points", "one of them", _ONE_MARK)
        if own:
            return next(iter(own))
        unclear = of.unclear
        if unclear is None:
            return "."
        if len(self.marks) == 1:
            return next(iter(self.marks))
        if self.marks or self.usual is None:
            raise self._fault(of, unclear, "this may be a thousand or a fraction", "one of them", _ONE_MARK)
        return self.usual

    def numbers(self, of: Column) -> Numbers:
        """The numbers of a column; NaN for missing ones. Raises InvalidDataError for a cell that is not a number."""
        mark = self.mark(of)
        values = np.full(len(of.cells), math.nan)
        unit: str | None = None
        for place in of.present:
            number = of.written[place]
            value = None if number is None else number.value(mark)
            if number is None or value is None:
                raise self._fault(of, place, "the column holds numbers, but not here", f"like 1{mark}5", _NO_NUMBER)
            unit = number.unit if unit is None else unit
            if number.unit != unit:
                bound = f"{unit!r} after or before each" if unit else "no sign, as in the rows before"
                raise self._fault(of, place, "the column mixes units", bound, "Write one unit in the whole column.")
            values[place] = value
        return values

    def doubts(self, of: Column) -> list[str]:
        """A doubt about a number with thousands that could be a fraction, if only other columns decide which it is."""
        unclear = of.unclear
        if unclear is None or of.marks or self.chosen is not None or (mark := self.mark(of)) in of.cells[unclear]:
            return []
        cell, number = of.cells[unclear].strip(), of.written[unclear]
        value = None if number is None else number.value(mark)
        return [f"column {of.name!r}: {cell!r} is read as {value:g}; if that is wrong, give the parameter `decimal`"]

    def _fault(self, of: Column, place: int, message: str, bound: str, remedy: str) -> InvalidDataError:
        where = f"line {of.lines[place]}, column {of.name!r}"
        return refuse(self.source, f"{where}: {message}", bound, of.cells[place], remedy)


_ONE_MARK = "Write the whole file with one decimal mark, or give the parameter `decimal` as '.' or ','."
_NO_NUMBER = (
    "Correct or empty the cell; or name the column in the parameter `categories` to read it as words, or in `drop`."
)

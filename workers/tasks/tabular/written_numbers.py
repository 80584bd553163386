"""Numbers as spreadsheets write them: which decimal mark a column uses, and what its cells are worth.

A cell may have a sign, thousands grouped by a comma, a point, a space, an apostrophe or an underscore, an exponent, a
percent sign or a currency symbol; a negative one may stand in parentheses. `1,234` is 1234 or 1.234: other cells of
the column, then of the file, decide. Where none does, the table is refused.
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
"""From this share of numbers on, a column holds numbers, and the other cells are faults."""
A_FEW = 0.05
"""From this share of numbers on, a column of words is worth a warning."""

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
    """A cell that reads as a number: its value by decimal mark, None where the mark does not fit; and its unit."""

    point: float | None
    comma: float | None
    unit: str

    def value(self, mark: DecimalMark) -> float | None:
        return self.point if mark == "." else self.comma


def read_number(cell: str) -> Written | None:
    """None where the cell is no number in any convention. NaN and hexadecimal are none."""
    text = cell.strip()
    plain = _PLAIN.fullmatch(text)
    if plain is not None and _THOUSAND_OR_FRACTION.fullmatch(text) is None:
        # Most cells end here; what follows takes five times as long.
        value = float(text)
        return Written(value, value if plain["whole"] else None, "")
    if not text.isascii():
        text = "".join(_ascii(character) for character in text).translate(_MINUS)
    if _INFINITE.fullmatch(text):
        return Written(math.inf, math.inf, "")
    found = _PARTS.fullmatch(text)
    if found is None:
        return None
    signs = [part for part in (found["open"], found["outer"], found["inner"]) if part]
    units = [part for part in (found["before"], found["after"]) if part]
    if len(signs) > 1 or len(units) > 1 or bool(found["open"]) != bool(found["close"]):
        return None
    sign, unit = ("" if signs in ([], ["+"]) else "-"), "".join(units)
    point, comma = (_value(sign, found["body"], mark, unit) for mark in (".", ","))
    return None if point is None and comma is None else Written(point, comma, unit)


def _ascii(character: str) -> str:
    return str(unicodedata.decimal(character)) if character.isdecimal() else character


def _value(sign: str, body: str, mark: DecimalMark, unit: str) -> float | None:
    if _PATTERNS[mark].fullmatch(body) is None:
        return None
    digits = re.sub(rf"[{re.escape(_OTHER_MARK[mark])}{_GROUPS}]", "", body).replace(mark, ".")
    if unit == "%":
        mantissa, _, exponent = digits.lower().partition("e")
        # Moved in the text: a division would round a second time.
        digits = f"{mantissa}e{int(exponent or 0) - 2}"
    return float(sign + digits)


@dataclass(frozen=True)
class Column:
    """The cells of one column: `written` says what each is as a number, None where it is none."""

    name: str
    cells: Sequence[str]
    lines: Sequence[int]
    """The line of the file that each cell stands in, 1-based."""
    written: Sequence[Written | None]

    @cached_property
    def present(self) -> list[int]:
        return [place for place, cell in enumerate(self.cells) if cell.strip().lower() not in NO_NUMBER]

    @cached_property
    def share(self) -> float:
        """Of the cells that hold something, how many are numbers; 1 where none holds anything."""
        present = self.present
        return sum(self.written[place] is not None for place in present) / len(present) if present else 1.0

    @cached_property
    def marks(self) -> set[DecimalMark]:
        """The decimal marks that some cell cannot do without."""
        found: set[DecimalMark] = set()
        for one in self.written:
            if one is not None and (one.point is None or one.comma is None):
                found.add("," if one.point is None else ".")
        return found

    @cached_property
    def unclear(self) -> int | None:
        """The place of the first cell whose value depends on the decimal mark."""
        both = (p for p, one in enumerate(self.written) if one is not None and None not in (one.point, one.comma))
        return next((place for place in both if self.written[place].point != self.written[place].comma), None)  # type: ignore[union-attr]


def column(name: str, cells: Sequence[str], lines: Sequence[int]) -> Column:
    return Column(name, cells, lines, [read_number(cell) for cell in cells])


@dataclass(frozen=True, slots=True)
class Convention:
    """What is known of how a file writes numbers: its columns' marks together, and what it falls back on."""

    source: str
    marks: frozenset[DecimalMark]
    told: DecimalMark | None
    """What the study's parameters say."""
    usual: DecimalMark | None
    """The mark that goes with the file's delimiter: a comma between cells leaves the point for decimals."""

    def mark(self, of: Column) -> DecimalMark:
        """Raises InvalidDataError where the column mixes marks, or nothing says which it uses."""
        if self.told is not None:
            return self.told
        own = of.marks
        if len(own) == 2:
            first = next(p for p, one in enumerate(of.written) if one is not None and one.point is None)
            raise self._fault(of, first, "the column mixes decimal commas and points", "one of them", _ONE_MARK)
        if own:
            return next(iter(own))
        unclear = of.unclear
        if unclear is None:
            return "."
        if len(self.marks) == 1:
            return next(iter(self.marks))
        if self.marks or self.usual is None:
            raise self._fault(of, unclear, "nothing says whether this is a thousand or a fraction", "one", _ONE_MARK)
        return self.usual

    def numbers(self, of: Column) -> Numbers:
        """NaN where a cell says that it is missing. Raises InvalidDataError for one that is no number."""
        mark = self.mark(of)
        values = np.full(len(of.cells), math.nan)
        unit: str | None = None
        for place in of.present:
            one = of.written[place]
            value = None if one is None else one.value(mark)
            if one is None or value is None:
                raise self._fault(of, place, "the column holds numbers, but not here", f"like 1{mark}5", _NO_NUMBER)
            unit = one.unit if unit is None else unit
            if one.unit != unit:
                bound = f"{unit!r} after or before each" if unit else "no sign, as in the rows before"
                raise self._fault(of, place, "the column mixes units", bound, "Write one unit in the whole column.")
            values[place] = value
        return values

    def doubts(self, of: Column) -> list[str]:
        """A number with thousands that could be a fraction, where only the rest of the file says which it is."""
        unclear = of.unclear
        if unclear is None or of.marks or self.told is not None or (mark := self.mark(of)) in of.cells[unclear]:
            return []
        cell, one = of.cells[unclear].strip(), of.written[unclear]
        value = None if one is None else one.value(mark)
        return [f"column {of.name!r}: {cell!r} is read as {value:g}; if that is wrong, give the parameter `decimal`"]

    def _fault(self, of: Column, place: int, message: str, bound: str, remedy: str) -> InvalidDataError:
        where = f"line {of.lines[place]}, column {of.name!r}"
        return refuse(self.source, f"{where}: {message}", bound, of.cells[place], remedy)


_ONE_MARK = "Write the whole file with one decimal mark, or give the parameter `decimal` as '.' or ','."
_NO_NUMBER = (
    "Correct or empty the cell; or name the column in the parameter `categories` to read it as words, or in `drop`."
)

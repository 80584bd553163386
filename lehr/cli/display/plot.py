"""Draws curves with text characters: Braille characters of eight dots each, or plain ASCII."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot in a Braille character, by row and column (Unicode 16.0, chapter 21.1)."""
BRAILLE = 0x2800


def draw(
    x: Sequence[float], y: Sequence[float], *, width: int = 60, height: int = 12, log: bool = False, plain: bool = False
) -> list[str]:
    """The lines of a plot of y over x: `height` lines, and one below with the ends of x.

    `width`: characters of the plot without its labels. `log`: use a log axis for y; zeros are drawn on the lowest
    line. `plain`: ASCII only.
    """
    heights = scaled(y, log)
    columns, rows = (width, height) if plain else (2 * width, 4 * height)
    grid = trace(x, heights, (min(heights), max(heights)), columns, rows)
    body = [Text(_line(grid, row, width, plain)) for row in range(height)]
    return [line.plain for line in frame(body, y, x, width=width, plain=plain)]


def frame(body: Sequence[Text], y: Sequence[float], x: Sequence[float], *, width: int, plain: bool) -> list[Text]:
    """Add the ends of y beside the lines of a plot, and a line below with the ends of x."""
    names = {0: _label(max(y)), len(body) - 1: _label(min(y))}
    if max(y) == min(y):
        names = {len(body) // 2: _label(y[0])}
    side = max(len(name) for name in names.values())
    edge = "|" if plain else "┤"
    lines = [Text(f"{names.get(row, ''):>{side}} {edge}").append_text(text) for row, text in enumerate(body)]
    first, last = _label(x[0]), _label(x[-1])
    return [*lines, Text(f"{'':>{side}}  {first}{last:>{max(1, width - len(first))}}")]


def scaled(values: Sequence[float], log: bool) -> list[float]:
    """The values to draw: on a log axis, their logarithms, with zeros at the lowest one."""
    return _log(values) if log else list(values)


def _log(values: Sequence[float]) -> list[float]:
    positive = [value for value in values if value > 0]
    floor = min(positive, default=1.0)
    return [math.log10(max(value, floor)) for value in values]


def trace(
    x: Sequence[float], y: Sequence[float], bounds: tuple[float, float], columns: int, rows: int
) -> set[tuple[int, int]]:
    """The dots (row, column) of the line through all points; row 0 is at the top."""
    low, high = bounds
    breadth = x[-1] - x[0]

    def place(index: int) -> tuple[int, int]:
        column = round((x[index] - x[0]) / breadth * (columns - 1)) if breadth else 0
        row = round((high - y[index]) / (high - low) * (rows - 1)) if high > low else rows // 2
        return row, column

    dots = {place(0)}
    for index in range(1, len(x)):
        (row0, column0), (row1, column1) = place(index - 1), place(index)
        steps = max(abs(row1 - row0), abs(column1 - column0), 1)
        for step in range(1, steps + 1):
            part = step / steps
            dots.add((round(row0 + part * (row1 - row0)), round(column0 + part * (column1 - column0))))
    return dots


def _line(dots: set[tuple[int, int]], row: int, width: int, plain: bool) -> str:
    if plain:
        return "".join("*" if (row, column) in dots else " " for column in range(width)).rstrip()
    return "".join(chr(BRAILLE + cell(dots, 4 * row, 2 * column)) for column in range(width)).rstrip(chr(BRAILLE))


def cell(dots: set[tuple[int, int]], top: int, left: int) -> int:
    """The bits of the Braille character whose upper left dot is at (top, left)."""
    return sum(DOTS[i][j] for i in range(4) for j in range(2) if (top + i, left + j) in dots)


def _label(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1e6 and value != int(value) else f"{value:g}"

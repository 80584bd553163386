"""Draws several curves in one plot, distinguished by colours or, without colours, by letters."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase

from rich.text import Text

from lehr.cli.display.plot import BRAILLE, cell, frame, scaled, trace

COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "red")
Points = tuple[Sequence[float], Sequence[float]]
"""The x and y values of a curve."""


def overlay(
    curves: Sequence[Points],
    names: Sequence[str],
    *,
    width: int = 60,
    height: int = 12,
    log: bool = False,
    coloured: bool,
) -> Text:
    """A plot of the curves with a legend. If two curves share a character, the earlier one is drawn."""
    everything = [value for _, y in curves for value in y]
    heights = scaled(everything, log)
    bounds = min(heights), max(heights)
    columns, rows = (2 * width, 4 * height) if coloured else (width, height)
    grids, begin = [], 0
    for x, y in curves:
        grids.append(trace(x, heights[begin : begin + len(y)], bounds, columns, rows))
        begin += len(y)
    body = [_row(grids, row, width, coloured) for row in range(height)]
    drawn = frame(body, everything, curves[0][0], width=width, plain=not coloured)
    text = Text("\n").join(drawn)
    for index, name in enumerate(names):
        mark = "━" if coloured else ascii_lowercase[index % 26]
        text.append(f"\n  {mark} ", style=_colour(index) if coloured else "")
        text.append(name)
    return text


def _row(grids: Sequence[set[tuple[int, int]]], row: int, width: int, coloured: bool) -> Text:
    text = Text()
    for column in range(width):
        if coloured:
            drawn = [(index, bits) for index, grid in enumerate(grids) if (bits := cell(grid, 4 * row, 2 * column))]
            union = 0
            for _, bits in drawn:
                union |= bits
            text.append(chr(BRAILLE + union) if drawn else " ", style=_colour(drawn[0][0]) if drawn else "")
        else:
            at = [index for index, grid in enumerate(grids) if (row, column) in grid]
            text.append(ascii_lowercase[at[0] % 26] if at else " ")
    text.rstrip()
    return text


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]

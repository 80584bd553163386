"""Safe terminal output: strips control characters from untrusted text, and fits tables to narrow terminals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")
"""C0 without tab and line feed, DEL, C1, Unicode separators and bidirectional controls, and lone surrogates."""


def clean(text: str) -> str:
    r"""Remove characters that control a terminal or reorder its text.

    >>> clean("a\x1b[2Jb\u202ec")
    'a[2Jbc'
    """
    return _CONTROLS.sub("", text)


def escape_json(text: str) -> str:
    r"""Escape these characters in JSON text, so that programs still read the same strings.

    >>> escape_json('"a\x9bb"')
    '"a\\u009bb"'
    """
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class CleanConsole(Console):
    """A console that strips control characters from its content, but keeps its own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(clean(segment.text), segment.style)


class Rows:
    """A table that never truncates rows on a narrow terminal.

    If rows are too wide, ids in the columns `ids` are shortened first; then the columns `spare` are dropped one by
    one; if that is still too wide, each row is printed in full over several lines.
    """

    GAP = 2
    ID_CHARACTERS = 8
    """Length of a shortened id: enough to identify a study in a command."""

    def __init__(self, *heads: str, ids: Sequence[str] = (), spare: Sequence[str] = ()) -> None:
        self._heads = heads
        self._ids = ids
        self._spare = spare
        self._rows: list[list[Text]] = []

    def add_row(self, *cells: str | Text) -> None:
        """Add cells from the left; missing ones are empty."""
        filled = [*cells, *[""] * (len(self._heads) - len(cells))]
        self._rows.append([cell if isinstance(cell, Text) else Text(cell) for cell in filled])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        for heads, rows in self._forms():
            if self._width(heads, rows) <= options.max_width:
                table = Table(*heads, box=None, pad_edge=False)
                for row in rows:
                    table.add_row(*row)
                yield table
                return
        for row in self._rows:
            yield from self._stacked(row, options.max_width)

    def _forms(self) -> Iterator[tuple[list[str], list[list[Text]]]]:
        """Yield heads and rows, from the widest form to the narrowest."""
        yield list(self._heads), self._rows
        for left_out in range(len(self._spare) + 1):
            heads = [head for head in self._heads if head not in self._spare[:left_out]]
            yield (
                heads,
                [[self._short(head, cell) for head, cell in self._named(row) if head in heads] for row in self._rows],
            )

    def _named(self, row: Sequence[Text]) -> Iterator[tuple[str, Text]]:
        return zip(self._heads, row, strict=True)

    def _short(self, head: str, cell: Text) -> Text:
        is_id = head in self._ids and " " not in cell.plain
        return cell[: self.ID_CHARACTERS] if is_id else cell

    def _width(self, heads: Sequence[str], rows: Sequence[Sequence[Text]]) -> int:
        columns: Iterable[tuple[Text, ...]] = zip([Text(head) for head in heads], *rows, strict=True)
        return sum(max(cell.cell_len for cell in column) + self.GAP for column in columns) - self.GAP

    def _stacked(self, row: Sequence[Text], width: int) -> Iterator[Text]:
        line = Text()
        for head, cell in self._named(row):
            if not cell:
                continue
            piece = Text.assemble((f"{head} " if head else "", "dim"), cell)
            if line and line.cell_len + self.GAP + piece.cell_len > width:
                yield line
                line = Text(" " * self.GAP) + piece
            else:
                line = line + Text(" " * self.GAP if line else "") + piece
        yield line

"""Text that is safe to print on a terminal: names, errors and answers are written by others."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")
"""C0 without tab and line feed, DEL, C1, separators and directions of Unicode, and halves of characters."""


def clean(text: str) -> str:
    r"""The text without characters that command a terminal or reorder what it shows.

    >>> clean("a\x1b[2Jb\u202ec")
    'a[2Jbc'
    """
    return _CONTROLS.sub("", text)


def escape_json(text: str) -> str:
    r"""The same JSON, with such characters written as escapes: programs read the same strings.

    >>> escape_json('"a\x9bb"')
    '"a\\u009bb"'
    """
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class CleanConsole(Console):
    """A console that prints no control characters but its own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(clean(segment.text), segment.style)

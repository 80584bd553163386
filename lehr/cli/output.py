"""Where things are printed: results on stdout, progress and messages on stderr."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from lehr.errors import Fault

PIPE_WIDTH = 140
"""Columns of a table that nobody watches: files and pipes have no width of their own."""

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def show(renderable: RenderableType) -> None:
    """A result, for people."""
    out.print(renderable, width=None if out.is_terminal else PIPE_WIDTH, markup=False)


def write(text: str) -> None:
    """A result, exactly as it is."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def document(value: Any) -> None:
    """A result, as JSON."""
    if out.is_terminal:
        out.print_json(json.dumps(value, allow_nan=False), indent=2)
    else:
        write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def say(message: str, style: str = "") -> None:
    """A message. Square brackets are kept: bounds are written with them."""
    err.print(Text(message, style=style), soft_wrap=True)


def faults_text(faults: tuple[Fault, ...]) -> Text:
    """Refused values, one block each: the field, what is allowed, what was given, what to do."""
    text = Text()
    for fault in faults:
        text.append(f"\n  {fault.field or 'document'}", style="bold")
        text.append(f"  {fault.message}\n")
        for label, said in (("allowed", fault.bound), ("got", _short(fault.value)), ("do", fault.remedy)):
            if said:
                text.append(f"    {label:<8}", style="dim")
                text.append(f"{said}\n")
    return text


def _short(value: Any, longest: int = 200) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"

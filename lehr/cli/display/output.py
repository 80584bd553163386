"""Prints results to stdout, and progress and messages to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.highlighter import JSONHighlighter
from rich.text import Text

from lehr.errors import Fault
from lehr.terminal import CleanConsole, clean, escape_json

if TYPE_CHECKING:
    from lehr.wire.base import Warning_

PIPE_WIDTH = 140
"""The width of tables in files and pipes, which have none of their own."""

out = CleanConsole(highlight=False)
err = CleanConsole(stderr=True, highlight=False)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def show(renderable: RenderableType) -> None:
    """Print a formatted result."""
    console = out if out.is_terminal else CleanConsole(highlight=False, width=PIPE_WIDTH)
    console.print(renderable, markup=False)


def lines(text: str) -> None:
    """Print lines of a result, wrapped between words in a terminal but not in a pipe."""
    out.print(Text(text), soft_wrap=not out.is_terminal)


def write(text: str) -> None:
    """Print a result as it is, without control characters."""
    text = clean(text)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def document(value: Any) -> None:
    """Print a result as JSON."""
    text = _json(value)
    if out.is_terminal:
        out.print(JSONHighlighter()(text), soft_wrap=True)
    else:
        write(text)


def say(message: str, style: str = "") -> None:
    """Print a message. Square brackets are not markup: they appear in bounds."""
    err.print(Text(message, style=style), soft_wrap=not err.is_terminal)


def warn(warnings: Iterable[Warning_]) -> None:
    """What an answer warns of, each with what it is about."""
    for warning in warnings:
        place = f"{warning.field}: " if warning.field else ""
        say(f"warning: {place}{warning.message}", "yellow")


def hint(message: str, command: str) -> None:
    """Print a message that ends with a command to paste, which is never wrapped; if too long, it gets its own line."""
    whole = f"{message} {command}"
    fits = not err.is_terminal or Text(whole).cell_len <= err.width
    say(whole if fits else message)
    if not fits:
        err.print(Text(command), soft_wrap=True)


def confirm(question: str) -> None:
    """Ask on stderr. Raises typer.Abort if the user declines."""
    typer.confirm(clean(question), abort=True, err=True)


def faults_text(faults: tuple[Fault, ...]) -> Text:
    """Invalid values, one block each: the field and message, the allowed bound, the value given, and how to fix it."""
    text = Text()
    for fault in faults:
        text.append(f"\n  {fault.field or 'document'}", style="bold")
        text.append(f"  {fault.message}\n")
        for label, content in (("allowed", fault.bound), ("got", _short(fault.value)), ("fix", fault.remedy)):
            if content:
                text.append(f"    {label:<8}", style="dim")
                text.append(f"{content}\n")
    return text


def _short(value: Any, longest: int = 200) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _json(value: Any, indent: str = "") -> str:
    """JSON with a line for each member, but lists of plain values on one line, since rates by step are long."""
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        members = [f"{deeper}{_plain(name)}: {_json(member, deeper)}" for name, member in value.items()]
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return "[\n" + ",\n".join(deeper + _json(item, deeper) for item in value) + f"\n{indent}]"
    return _plain(value)


def _plain(value: Any) -> str:
    return escape_json(json.dumps(value, ensure_ascii=False, allow_nan=False))

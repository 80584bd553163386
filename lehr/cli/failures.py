"""Turns errors of commands into messages and exit codes, without tracebacks."""

from __future__ import annotations

from typing import Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from lehr.cli.display.output import err, faults_text
from lehr.errors import InvalidValueError, LehrError, ServerError, UnreachableError

FAILED = 1
INVALID = 2
UNREACHABLE = 3
INTERRUPTED = 130
EXIT_CODES = {
    0: "done",
    FAILED: "the study failed or was cancelled, or the operation failed",
    INVALID: "wrong usage or an invalid value",
    UNREACHABLE: "the server did not respond",
    INTERRUPTED: "interrupted by Ctrl-C",
}


class LehrGroup(TyperGroup):
    """The root command, which turns errors into messages and exit codes."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except LehrError as error:
            err.print(failure_text(error), soft_wrap=not err.is_terminal)
            raise typer.Exit(exit_code(error)) from None


def exit_code(error: LehrError) -> int:
    if isinstance(error, UnreachableError):
        return UNREACHABLE
    return INVALID if isinstance(error, ValueError) else FAILED


def failure_text(error: LehrError) -> Text:
    """The error formatted for people; a problem document shows one block for each field."""
    text = Text("error: ", style="bold red")
    faults = error.faults if isinstance(error, InvalidValueError) else ()
    if isinstance(error, ServerError):
        title, detail = error.problem.get("title", "error"), error.problem.get("detail", "")
        text.append(f"{title} ({error.status})", style="bold")
        if detail and not (faults and faults[0].message in detail):
            text.append(f": {detail}", style="not bold")
    elif faults:
        text.append("invalid value" if len(faults) == 1 else f"{len(faults)} invalid values", style="bold")
    else:
        text.append(str(error), style="not bold default")
    if faults:
        text.append_text(faults_text(faults))
        text.rstrip()
    return text

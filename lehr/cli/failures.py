"""What a failed command prints and which code it exits with. Users' errors show no traceback."""

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
    FAILED: "the study failed or was cancelled, or the server or the machine refused",
    INVALID: "wrong usage, or a value that is out of its bounds",
    UNREACHABLE: "the server did not answer",
    INTERRUPTED: "ended by Ctrl-C",
}


class LehrGroup(TyperGroup):
    """The root command: the one place where errors become messages and exit codes."""

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
    """The error as people read it; a problem document field by field."""
    text = Text("error: ", style="bold red")
    faults = error.faults if isinstance(error, InvalidValueError) else ()
    if isinstance(error, ServerError):
        title, detail = error.problem.get("title", "error"), error.problem.get("detail", "")
        text.append(f"{title} ({error.status})", style="bold")
        if detail and not (faults and faults[0].message in detail):
            text.append(f": {detail}", style="not bold")
    elif faults:
        text.append("refused" if len(faults) == 1 else f"{len(faults)} values refused", style="bold")
    else:
        text.append(str(error), style="not bold default")
    if faults:
        text.append_text(faults_text(faults))
        text.rstrip()
    return text

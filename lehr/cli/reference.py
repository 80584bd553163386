"""The reference of all commands, written from the code: `python -m lehr.cli.reference > docs/reference/cli.md`."""

from __future__ import annotations

import sys
from typing import Any

from lehr.cli.app import COMMANDS
from lehr.cli.failures import EXIT_CODES
from lehr.cli.settings import VARIABLES

HEAD = """# The command line

Written from the code by `python -m lehr.cli.reference`; a test compares. `STUDY` is a study's id, its name, or the
beginning of its id. Results go to stdout, progress and messages to stderr. Flags win over variables.
"""


def reference() -> str:
    """The page as Markdown: each command with its arguments, options, variables and defaults."""
    parts = [HEAD, *(_command(command.name or "", command.load()) for command in COMMANDS)]
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    parts.append(f"## Exit codes\n\n| code | meaning |\n|---|---|\n{codes}\n")
    names = ", ".join(f"`{name}`" for name in VARIABLES)
    parts.append(f"## Variables\n\nThe command line itself reads {names}.\n")
    return "\n".join(parts)


def _command(name: str, command: Any, level: str = "##") -> str:
    if hasattr(command, "commands"):
        inner = [_command(f"{name} {each}", command.commands[each], level + "#") for each in command.commands]
        return "\n".join([f"{level} lehr {name}", "", command.help or "", "", *inner])
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and each.name != "help"]
    usage = " ".join(["lehr", name, *(_argument_name(each) for each in arguments)])
    lines = [f"{level} lehr {name}", "", f"`{usage}{' [options]' if options else ''}`", "", command.help or "", ""]
    rows = [_row(_argument_name(each), each) for each in arguments]
    rows += [_row(", ".join(each.opts + each.secondary_opts), each) for each in options]
    if rows:
        lines += ["| argument or option | what | default | variable |", "|---|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _argument_name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _row(name: str, parameter: Any) -> str:
    default = "" if parameter.required or parameter.default in (None, False, []) else f"`{parameter.default}`"
    variable = f"`{parameter.envvar}`" if parameter.envvar else ""
    cells = (f"`{name}`", parameter.help or "", default, variable)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(reference())

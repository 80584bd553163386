"""Commands that are imported only when they run, so that `lehr --help` starts fast."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand


class LazyCommand(TyperCommand):
    """A placeholder that imports the actual command when it is called.

    `target`: "module:function" within `lehr.cli.commands`; a Typer app may replace the function. `panel`: the group in
    `lehr --help` that lists the command. `summary`: its text there, the first line of the command's own help.
    """

    def __init__(self, name: str, target: str, panel: str, summary: str) -> None:
        super().__init__(name, help=summary, rich_help_panel=panel)
        self._target = target

    def load(self) -> Any:
        """Import and return the actual command."""
        module, attribute = self._target.split(":")
        target = getattr(import_module(f"lehr.cli.commands.{module}"), attribute)
        if not isinstance(target, typer.Typer):
            function, target = target, typer.Typer(add_completion=False)
            target.command(self.name)(function)
        return typer.main.get_command(target)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self.load().make_context(info_name, args, parent, **extra)

"""Commands that are imported when they run, so that `lehr --help` needs none of them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand


class LazyCommand(TyperCommand):
    """Stands in for a command until it is called.

    `target` is "module:function" below `lehr.cli.commands`, or a Typer in place of the function. `panel` is the box of
    `lehr --help` that lists the command, and `summary`, the first line of its own help, is what stands there.
    """

    def __init__(self, name: str, target: str, panel: str, summary: str) -> None:
        super().__init__(name, help=summary, rich_help_panel=panel)
        self._target = target

    def load(self) -> Any:
        """The command itself."""
        module, attribute = self._target.split(":")
        target = getattr(import_module(f"lehr.cli.commands.{module}"), attribute)
        if not isinstance(target, typer.Typer):
            function, target = target, typer.Typer(add_completion=False)
            target.command(self.name)(function)
        return typer.main.get_command(target)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self.load().make_context(info_name, args, parent, **extra)

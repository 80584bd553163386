"""Helpers for the architecture tests: the project's files, and facts from their syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("lehr", "service", "workers")


def python_files(*folders: str) -> list[Path]:
    """Every Python file under the folders, which are relative to the repository."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def files_where(happens: Callable[[ast.AST], bool], *folders: str) -> set[str]:
    """The files under the folders whose syntax tree holds a node for which `happens`."""
    return {relative(path) for path in python_files(*folders) if any(map(happens, nodes(path)))}


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(), filename=str(path)))


def imports(package: str) -> Callable[[ast.AST], bool]:
    """Tell of a node whether it imports the package or a part of it."""
    return lambda node: any(name == package or name.startswith(f"{package}.") for name in imported_modules(node))


def imported_modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []


def document(path: str) -> str:
    return (ROOT / path).read_text()

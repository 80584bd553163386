"""Prints code layout metrics as a Markdown table, for now and for an earlier commit: `python tools/house.py [COMMIT]`.

A room is a folder, or a loose file, in the root of a program. An arrow leads from one room to another that it imports.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ("lehr", "service", "workers")
QUERIED = ("TrialRow", "ReportRow")
"""The tables whose queries are counted."""


def main(commit: str | None) -> None:
    """Print the figures of the working tree, beside those of `commit` where one is given."""
    now = figures(ROOT)
    if commit is None:
        print("| figure | now |\n| --- | ---: |")
        print("\n".join(f"| {name} | {value:,} |" for name, value in now.items()))
        return
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", commit, *PROGRAMS], cwd=ROOT, check=True, capture_output=True)
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tree:
            tree.extractall(folder, filter="data")
        then = figures(Path(folder))
    print(f"| figure | {commit} | now |\n| --- | ---: | ---: |")
    print("\n".join(f"| {name} | {then[name]:,} | {value:,} |" for name, value in now.items()))


def figures(root: Path) -> dict[str, int]:
    """Every figure of the programs under `root`, by name."""
    counted: dict[str, int] = {}
    imports = {program: dict(module_imports(root, program)) for program in PROGRAMS}
    for program, edges in imports.items():
        counted[f"`{program}`: lines"] = sum(len(path.read_text().splitlines()) for path in _files(root, program))
        counted[f"`{program}`: files"] = len(edges)
        counted[f"`{program}`: rooms"] = len({_room(module) for module in edges if _room(module)})
        counted[f"`{program}`: arrows between rooms"] = len(set(_arrows(edges)))
        counted[f"`{program}`: loose files in its root"] = sum(
            path.parent == root / program and path.name != "__init__.py" for path in _files(root, program)
        )
    counted["import cycles"] = sum(len(cycles(edges)) for edges in imports.values())
    service = {path: path.read_text() for path in _files(root, "service")}
    counted["files that build selects on trials or reports"] = sum(map(_selects, service.values()))
    counted['reads of `spec["…"]`'] = sum(len(re.findall(r"\bspec\[\"", text)) for text in service.values())
    counted["lines of the three programs"] = sum(counted[f"`{program}`: lines"] for program in PROGRAMS)
    return counted


def _files(root: Path, program: str) -> list[Path]:
    return sorted((root / program).rglob("*.py"))


def module_imports(root: Path, program: str) -> Iterator[tuple[str, set[str]]]:
    """Each module of a program with the modules of the same program that it imports, for type checking included."""
    paths = {_module(path, root): path for path in _files(root, program)}
    for module, path in paths.items():
        named: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                submodules = {f"{node.module}.{alias.name}" for alias in node.names}
                named |= (submodules & paths.keys()) or {node.module}
        yield module, {name for name in named if name in paths and name != module}


def _module(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room(module: str) -> str:
    return ".".join(module.split(".")[1:2])


def _arrows(edges: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
    for module, targets in edges.items():
        for target in targets:
            one, other = _room(module), _room(target)
            if one and other and one != other:
                yield one, other


def cycles(edges: dict[str, set[str]]) -> list[set[str]]:
    """The groups of modules that import each other, directly or through others."""
    reach = {module: _reachable(module, edges) for module in edges}
    groups = {
        frozenset(other for other in reach[module] if module in reach[other])
        for module in edges
        if module in reach[module]
    }
    return [set(group) for group in groups]


def _reachable(module: str, edges: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    ahead = list(edges[module])
    while ahead:
        reached = ahead.pop()
        if reached not in seen:
            seen.add(reached)
            ahead.extend(edges[reached])
    return seen


def _selects(source: str) -> bool:
    """Whether a file builds a select on one of the counted tables."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "select":
            names = {name.id for argument in node.args for name in ast.walk(argument) if isinstance(name, ast.Name)}
            if names & set(QUERIED):
                return True
    return False


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)

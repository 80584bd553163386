"""Files and functions stay below the size limits."""

from __future__ import annotations

import ast

from tests.architecture.sources import nodes, python_files, relative

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 50
CODE = ("lehr", "service", "workers", "migrations", "benchmarks", "examples", "tools")


def test_no_file_outside_the_tests_is_over_300_lines() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in python_files(*CODE)}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_no_function_outside_the_tests_is_over_50_lines() -> None:
    # Migrations are written by a tool and list tables; their length is the schema's.
    lengths = {
        f"{relative(path)}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in python_files(*CODE)
        if "migrations/versions" not in relative(path)
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}

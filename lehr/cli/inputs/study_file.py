"""Reads study files as YAML 1.2 or JSON; duplicate keys are errors."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from lehr.errors import LehrError

STDIN = "-"


class StudyFileError(LehrError, ValueError):
    """A study file cannot be read."""


class CoreLoader(yaml.SafeLoader):
    """A YAML loader for the core schema of version 1.2 that rejects duplicate keys.

    PyYAML follows version 1.1, where `1e-4` is a string, `no` is false, `010` is eight and `1:30` is ninety.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own way

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen and key_node.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key!r}", key_node.start_mark)
            if isinstance(key, Hashable):
                seen.add(key)
        return super().construct_mapping(node, deep)


def _resolve(tag: str, pattern: str, first_characters: str) -> None:
    CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first_characters))


# YAML 1.2.2, section 10.3.2.
_resolve("null", r"^(?:~|null|Null|NULL|)$", "~nN")
_resolve("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
_resolve("int", r"^[-+]?[0-9]+$", "-+0123456789")
_resolve("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789")
_resolve("float", r"^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$", "-+.")
_resolve("merge", r"^<<$", "<")
CoreLoader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: _integer(node))
CoreLoader.yaml_implicit_resolvers.setdefault("", []).append(("tag:yaml.org,2002:null", re.compile(r"^$")))


def read_study(name: str) -> dict[str, Any]:
    """The study in a file, or on stdin for `-`. Raises StudyFileError with the location and reason."""
    value, where = read_document(name)
    if not isinstance(value, dict):
        found = "nothing" if value is None else type(value).__name__
        raise StudyFileError(
            f"{where} contains {found}, not a study: expected a mapping with name, task, objective and budget."
        )
    return value


def read_document(name: str) -> tuple[Any, str]:
    """The content of a YAML or JSON file, or of stdin for `-`, and its name in messages. Raises StudyFileError."""
    where = "standard input" if name == STDIN else name
    try:
        text = sys.stdin.read() if name == STDIN else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise StudyFileError(f"{where} cannot be read: {reason}.") from error
    return parse(text, where, only_json=name.endswith(".json")), where


def parse(text: str, where: str, *, only_json: bool = False) -> Any:
    """Parse YAML or JSON. Text that starts with a brace is tried as JSON first, since YAML forbids tabs."""
    if only_json or text.lstrip().startswith("{"):
        try:
            return json.loads(text, object_pairs_hook=_once_each, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            if only_json:
                raise StudyFileError(f"{where}, line {error.lineno}, column {error.colno}: {error.msg}.") from error
        except ValueError as error:
            raise StudyFileError(f"{where}: {error}.") from error
    try:
        return yaml.load(text, CoreLoader)
    except yaml.YAMLError as error:
        raise StudyFileError(f"{where}{_place(error)}: {_reason(error)}.") from error
    except RecursionError as error:
        raise StudyFileError(f"{where} is nested too deeply.") from error


def scalar(text: str) -> Any:
    """Parse a value from the command line as in a study file."""
    return parse(text, f"the value {text!r}")


def _integer(node: yaml.Node) -> int:
    """Parse a decimal integer, with or without leading zeros. Python itself rejects thousands of digits."""
    try:
        return int(node.value)
    except ValueError as error:
        raise yaml.constructor.ConstructorError(None, None, f"not an integer: {error}", node.start_mark) from error


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"duplicate key {repeated!r}")
    return document


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _reason(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or error).rstrip(".")

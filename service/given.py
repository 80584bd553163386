"""Rows handed to one statement as its parameters: one round trip and one text for any number of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, ColumnElement, Text, bindparam, cast, func, literal_column
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

from service.tables import Base

Columns = Mapping[str, TypeEngine[Any]]
"""The columns' names and types. SQLite takes no floats: it reads those of a JSON text to the last bit but one."""


def given_rows(dialect: str, columns: Columns, name: str = "given") -> dict[str, ColumnElement[Any]]:
    """The rows' columns, for a statement that is run with `given_parameters` of the same name."""
    if dialect == "sqlite":
        source = func.json_each(bindparam(name)).table_valued("value", name=name)
        return {
            column: func.json_extract(source.c.value, literal_column(f"'$[{place}]'"), type_=kind)
            for place, (column, kind) in enumerate(columns.items())
        }
    arrays = [bindparam(f"{name}_{column}", type_=ARRAY(_carrier(kind))) for column, kind in columns.items()]
    table = func.unnest(*arrays).table_valued(*columns, name=name).render_derived()
    return {column: _unwrapped(table.c[column], kind) for column, kind in columns.items()}


def given_parameters(
    dialect: str, columns: Columns, rows: Sequence[tuple[Any, ...]], name: str = "given"
) -> dict[str, Any]:
    """The rows, their values in the columns' order, as parameters of a statement over `given_rows`."""
    if dialect == "sqlite":
        return {name: json.dumps(rows)}
    values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return {
        f"{name}_{column}": [_carried(value, kind) for value in given]
        for (column, kind), given in zip(columns.items(), values, strict=True)
    }


def column_type(table: type[Base], name: str) -> TypeEngine[Any]:
    return table.__table__.c[name].type


def _carrier(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """What an array of such values is made of: an array of JSON would be taken for one JSON value."""
    return Text() if isinstance(kind, JSON) else kind


def _unwrapped(column: ColumnElement[Any], kind: TypeEngine[Any]) -> ColumnElement[Any]:
    return cast(column, kind) if isinstance(kind, JSON) else column


def _carried(value: Any, kind: TypeEngine[Any]) -> Any:
    return json.dumps(value) if isinstance(kind, JSON) and value is not None else value

"""Reads Parquet tables. A column's type decides whether it is numbers or categories; null and NaN are missing.

Source: https://arrow.apache.org/docs/python/parquet.html
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from workers.tasks.files import GET_AGAIN, refuse
from workers.tasks.tabular.doubts import doubts_of_words
from workers.tasks.tabular.table import LARGEST_BYTES, Numbers, Table, Wanted, Words, check_names, check_numbers
from workers.tasks.tabular.written_numbers import read_number

CELL_BYTES = 8
MOST_TIMES = 1000
"""The maximum compression ratio of a file; no real table compresses as well."""
ALWAYS_BYTES = 1 << 26
"""A decompressed size that is always allowed, however small the file is."""
_DEFAULT_INDEX = re.compile(r"__index_level_[0-9]+__")


def read_parquet(path: Path, wanted: Wanted) -> Table:
    """Read a table. Raises InvalidDataError."""
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            check_names(path, schema.names, "the schema")
            if not file.metadata.num_rows:
                raise refuse(path, "it has no rows", "at least one", 0, "Write rows into it.")
            chosen = wanted.choose(path, schema.names, _index(schema))
            kept = [field for field in schema if field.name not in chosen.dropped]
            for field in kept:
                _check_type(path, field.name, field.type)
            _check_size(path, file.metadata, len(kept))
            texts = [field.name for field in kept if _is_text(field.type)]
            with pq.ParquetFile(path, read_dictionary=texts) as reopened:
                content = reopened.read([field.name for field in kept])
    except (pa.ArrowException, OSError) as error:
        raise refuse(path, f"this is not a complete Parquet file: {error}", "Parquet", path.name, GET_AGAIN) from None
    columns = {field.name: _column(path, field.name, content.column(field.name)) for field in kept}
    doubts = [
        doubt
        for name, column in columns.items()
        if isinstance(column, list)
        for doubt in doubts_of_words(name, column, _share(column))
    ]
    return Table(str(path), chosen.target, columns, content.num_rows, chosen.dropped, tuple(doubts))


def _index(schema: Any) -> dict[str, str]:
    """The columns that hold a data frame's index, by the file's pandas metadata or by the default name, and why.

    Source: https://pandas.pydata.org/docs/development/developer.html
    """
    try:
        named = json.loads((schema.metadata or {})[b"pandas"])["index_columns"]
        index = {name: "it is the index of the data frame" for name in named if isinstance(name, str)}
    except (KeyError, TypeError, ValueError, RecursionError):
        index = {}
    default = {name: "it is the index of a data frame" for name in schema.names if _DEFAULT_INDEX.fullmatch(name)}
    return {name: why for name, why in (default | index).items() if name in schema.names}


def _check_size(path: Path, metadata: Any, columns: int) -> None:
    groups = sum(metadata.row_group(place).total_byte_size for place in range(metadata.num_row_groups))
    size = max(metadata.num_rows * columns * CELL_BYTES, groups)
    packed = path.stat().st_size
    bound = min(LARGEST_BYTES, max(ALWAYS_BYTES, MOST_TIMES * packed))
    if size > bound:
        message = f"it is too large: {packed} bytes unpack to more than they should"
        raise refuse(path, message, f"at most {bound} bytes", size, "Name a smaller file.")


def _check_type(path: Path, name: str, kind: Any) -> None:
    kind = kind.value_type if types.is_dictionary(kind) else kind
    fit = (
        *(types.is_boolean, types.is_integer, types.is_floating, types.is_decimal, types.is_null),
        *(_is_text, lambda temporal: types.is_temporal(temporal) and not types.is_interval(temporal)),
    )
    if not any(check(kind) for check in fit):
        allowed = "numbers, text, booleans or times"
        raise refuse(path, f"the column {name!r} has an unsupported type", allowed, str(kind), "Name it in `drop`.")


def _is_text(kind: Any) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _column(path: Path, name: str, column: Any) -> Numbers | Words:
    if types.is_dictionary(column.type):
        if _is_text(column.type.value_type):
            return [text for chunk in column.chunks for text in _texts(chunk)]
        column = column.cast(column.type.value_type)
    kind = column.type
    if types.is_boolean(kind):
        return [None if value is None else str(value).lower() for value in column.to_pylist()]
    if _is_text(kind):
        return [text for chunk in column.chunks for text in _texts(chunk.dictionary_encode())]
    if types.is_temporal(kind):
        # In the unit of the file, whatever it is, because numbers are scaled anyway.
        column = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    numbers: Numbers = column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
    check_numbers(path, name, numbers)
    return numbers


def _texts(chunk: Any) -> Words:
    """The texts of a chunk. Only null and empty texts are missing, not "none". Equal texts share one object."""
    levels = [text or None for text in chunk.dictionary.to_pylist()]
    return [None if place is None else levels[place] for place in chunk.indices.to_pylist()]


def _share(words: Words) -> float:
    present = [word for word in words if word is not None]
    return sum(read_number(word) is not None for word in present) / len(present) if present else 0.0

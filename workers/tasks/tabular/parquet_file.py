"""Tables in Parquet. What a column holds is what its type says; null is missing, and so is NaN.

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
"""How many times its size on disk a file may unpack to: no real table is packed as well."""
ALWAYS_BYTES = 1 << 26
"""What a file may unpack to, however small it is."""
_DEFAULT_INDEX = re.compile(r"__index_level_[0-9]+__")


def read_parquet(path: Path, wanted: Wanted) -> Table:
    """Raises InvalidDataError."""
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            check_names(path, schema.names, "the schema")
            if not file.metadata.num_rows:
                raise refuse(path, "it holds no row", "at least one", 0, "Write rows into it.")
            chosen = wanted.choose(path, schema.names, _index(schema))
            kept = [field for field in schema if field.name not in chosen.dropped]
            for field in kept:
                _check_type(path, field.name, field.type)
            _check_size(path, file.metadata, len(kept))
            texts = [field.name for field in kept if _is_text(field.type)]
            with pq.ParquetFile(path, read_dictionary=texts) as again:
                found = again.read([field.name for field in kept])
    except (pa.ArrowException, OSError) as error:
        raise refuse(path, f"this is no whole Parquet file: {error}", "Parquet", path.name, GET_AGAIN) from None
    columns = {field.name: _column(path, field.name, found.column(field.name)) for field in kept}
    doubts = [
        doubt
        for name, column in columns.items()
        if isinstance(column, list)
        for doubt in doubts_of_words(name, column, _share(column))
    ]
    return Table(str(path), chosen.target, columns, found.num_rows, chosen.dropped, tuple(doubts))


def _index(schema: Any) -> dict[str, str]:
    """The columns that hold a data frame's index: those that pandas names so in the file, and its default names.

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
        message = f"it holds too much: {packed} bytes unpack to more than they should"
        raise refuse(path, message, f"at most {bound} bytes", size, "Name a smaller file.")


def _check_type(path: Path, name: str, kind: Any) -> None:
    kind = kind.value_type if types.is_dictionary(kind) else kind
    fit = (
        *(types.is_boolean, types.is_integer, types.is_floating, types.is_decimal, types.is_null),
        *(_is_text, lambda one: types.is_temporal(one) and not types.is_interval(one)),
    )
    if not any(check(kind) for check in fit):
        allowed = "numbers, text, booleans or times"
        raise refuse(path, f"the column {name!r} has an unfit type", allowed, str(kind), "Name it in `drop`.")


def _is_text(kind: Any) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _column(path: Path, name: str, column: Any) -> Numbers | Words:
    if types.is_dictionary(column.type):
        if _is_text(column.type.value_type):
            return [one for chunk in column.chunks for one in _texts(chunk)]
        column = column.cast(column.type.value_type)
    kind = column.type
    if types.is_boolean(kind):
        return [None if value is None else str(value).lower() for value in column.to_pylist()]
    if _is_text(kind):
        return [one for chunk in column.chunks for one in _texts(chunk.dictionary_encode())]
    if types.is_temporal(kind):
        # Days, seconds or parts of them, as the file counts: numbers are scaled anyway.
        column = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    numbers: Numbers = column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
    check_numbers(path, name, numbers)
    return numbers


def _texts(chunk: Any) -> Words:
    """A text is what it is, be it "none"; only null and the empty text are missing. Rows share each text's object."""
    levels = [one or None for one in chunk.dictionary.to_pylist()]
    return [None if place is None else levels[place] for place in chunk.indices.to_pylist()]


def _share(words: Words) -> float:
    present = [one for one in words if one is not None]
    return sum(read_number(one) is not None for one in present) / len(present) if present else 0.0

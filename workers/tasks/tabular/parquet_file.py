"""Tables in Parquet. What a column holds is what its type says; null is missing, and so is NaN.

Source: https://arrow.apache.org/docs/python/parquet.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from workers.tasks.files import GET_AGAIN, refuse
from workers.tasks.tabular.table import LARGEST_BYTES, Numbers, Table, Words, check_names, check_numbers, word

CELL_BYTES = 8


def read_parquet(path: Path) -> Table:
    """Raises InvalidDataError."""
    found = _read(path)
    check_names(path, found.column_names, "the schema")
    if not found.num_rows:
        raise refuse(path, "it holds no row", "at least one", 0, "Write rows into it.")
    columns = {name: _column(path, name, found.column(name)) for name in found.column_names}
    return Table(str(path), columns, found.num_rows)


def _read(path: Path) -> Any:
    try:
        with pq.ParquetFile(path) as file:
            size = file.metadata.num_rows * file.metadata.num_columns * CELL_BYTES
            if size > LARGEST_BYTES:
                raise refuse(path, "it holds too much", f"at most {LARGEST_BYTES} bytes", size, "Name a smaller file.")
            return file.read()
    except (pa.ArrowException, OSError) as error:
        raise refuse(path, f"this is no whole Parquet file: {error}", "Parquet", path.name, GET_AGAIN) from None


def _column(path: Path, name: str, column: Any) -> Numbers | Words:
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if types.is_boolean(kind):
        return [None if value is None else str(value).lower() for value in column.to_pylist()]
    if types.is_string(kind) or types.is_large_string(kind):
        return [None if value is None else word(value) for value in column.to_pylist()]
    if types.is_temporal(kind) and not types.is_interval(kind):
        # Days, seconds or parts of them, as the file counts: numbers are scaled anyway.
        column = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    elif not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind)):
        allowed = "numbers, text, booleans or times"
        raise refuse(path, f"the column {name!r} has an unfit type", allowed, str(kind), "Leave the column out.")
    numbers: Numbers = column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
    check_numbers(path, name, numbers)
    return numbers

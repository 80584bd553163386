"""Finds and reads a table by name: a file in the data folder, or a data set of scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workers.tasks.files import MissingDataError, Stamp, below, stamp
from workers.tasks.tabular.csv_file import read_csv
from workers.tasks.tabular.parquet_file import read_parquet
from workers.tasks.tabular.table import Numbers, Table, Wanted, Words

BUNDLED = ("breast_cancer", "wine", "diabetes")
TARGET = "target"
PARQUET = (".parquet", ".pq")
"""Suffixes of Parquet files; all other files are read as CSV."""


def locate(file: str, data_dir: Path) -> Stamp:
    """The current state of the file; empty for a data set of scikit-learn. Raises MissingDataError."""
    if file in BUNDLED:
        return ()
    path = below(data_dir, file)
    if not path.is_file():
        bundled = ", ".join(BUNDLED)
        raise MissingDataError(
            file, [path], f"Put a CSV or Parquet file there, or name a table of scikit-learn: {bundled}."
        )
    return stamp([path])


def read(file: str, files: Stamp, wanted: Wanted) -> Table:
    """Read the table that `locate` found. Raises InvalidDataError."""
    if not files:
        return _bundled(file, wanted)
    return read_file(files[0][0], wanted)


def read_file(path: Path, wanted: Wanted) -> Table:
    """Read a CSV or Parquet file. Raises InvalidDataError."""
    return read_parquet(path, wanted) if path.suffix.lower() in PARQUET else read_csv(path, wanted)


def _bundled(file: str, wanted: Wanted) -> Table:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{file}")()
    columns: dict[str, Numbers | Words] = {
        str(name): np.asarray(bunch.data[:, index], dtype=np.float64) for index, name in enumerate(bunch.feature_names)
    }
    if file == "diabetes":
        columns[TARGET] = np.asarray(bunch.target, dtype=np.float64)
    else:
        columns[TARGET] = [str(bunch.target_names[label]) for label in bunch.target]
    source = f"sklearn.datasets.load_{file}"
    chosen = wanted.choose(source, list(columns), {})
    kept = {name: column for name, column in columns.items() if name not in chosen.dropped}
    return Table(source, chosen.target, kept, len(bunch.target), chosen.dropped)

"""Which table a name means: a file in the data folder, or one that comes with scikit-learn."""

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
"""Endings of Parquet files; every other file is CSV."""


def locate(file: str, data_dir: Path) -> Stamp:
    """The file as it is now; nothing for a table that comes with scikit-learn. Raises MissingDataError."""
    if file in BUNDLED:
        return ()
    path = below(data_dir, file)
    if not path.is_file():
        known = ", ".join(BUNDLED)
        raise MissingDataError(
            file, [path], f"Put a CSV or Parquet file there, or name a table of scikit-learn: {known}."
        )
    return stamp([path])


def read(file: str, files: Stamp, wanted: Wanted) -> Table:
    """Raises InvalidDataError."""
    if not files:
        return _bundled(file, wanted)
    return read_file(files[0][0], wanted)


def read_file(path: Path, wanted: Wanted) -> Table:
    """Raises InvalidDataError."""
    return read_parquet(path, wanted) if path.suffix.lower() in PARQUET else read_csv(path, wanted)


def _bundled(file: str, wanted: Wanted) -> Table:
    from sklearn import datasets

    found = getattr(datasets, f"load_{file}")()
    columns: dict[str, Numbers | Words] = {
        str(name): np.asarray(found.data[:, index], dtype=np.float64) for index, name in enumerate(found.feature_names)
    }
    if file == "diabetes":
        columns[TARGET] = np.asarray(found.target, dtype=np.float64)
    else:
        columns[TARGET] = [str(found.target_names[label]) for label in found.target]
    source = f"sklearn.datasets.load_{file}"
    chosen = wanted.choose(source, list(columns), {})
    kept = {name: column for name, column in columns.items() if name not in chosen.dropped}
    return Table(source, chosen.target, kept, len(found.target), chosen.dropped)

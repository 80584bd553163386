"""Parquet tables: the same tensors as from CSV, columns read by their types, and clear errors."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from lehr.schedules import schedule_from_dict
from tests.unit.workers.training.runs import run_of, train
from workers.tasks.files import InvalidDataError
from workers.tasks.tabular.parquet_file import read_parquet
from workers.tasks.tabular.table import Wanted
from workers.training.solo import build_task

CPU = torch.device("cpu")
AGES = [30.5, None, 50.0, None, 41.0, 38.0] * 5
TOWNS = ["Ulm", "Bonn", None, "Ulm", "Ulm", "Bonn"] * 5
INCOMES = [1.5, 2.0, 2.5, 8.0, 4.0, 3.0] * 5


def write(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    path = folder / "table.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return path


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip"])
def test_a_table_gives_the_same_tensors_as_the_same_table_in_csv(compression: str, tmp_path: Path) -> None:
    lines = [f"{a if a else ''},{t or '?'},{i}" for a, t, i in zip(AGES, TOWNS, INCOMES, strict=True)]
    (tmp_path / "table.csv").write_text("\n".join(["age,town,income", *lines]))
    write(tmp_path, {"age": AGES, "town": TOWNS, "income": INCOMES}, compression=compression)
    theirs, ours = (
        build_task({"name": "tabular", "params": {"file": f"table.{kind}", "goal": "regression"}}, tmp_path).data(CPU)
        for kind in ("csv", "parquet")
    )
    for name in ("train_inputs", "train_targets", "val_inputs", "val_targets"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name))


def test_a_columns_type_says_what_it_holds(tmp_path: Path) -> None:
    day, noon = datetime.date(1970, 1, 2), datetime.datetime(1970, 1, 1, 12)  # noqa: DTZ001
    columns = {
        "whole": pa.array([1, None], pa.int8()),
        "half": pa.array([0.5, float("nan")], pa.float32()),
        "price": pa.array([decimal.Decimal("1.25"), None]),
        "day": pa.array([day, None]),
        "noon": pa.array([noon, None], pa.timestamp("ms")),
        "nothing": pa.nulls(2),
        "flag": pa.array([True, None]),
        "digits": pa.array(["12", " n/a "]),
        "label": pa.array(["x", None]).dictionary_encode(),
    }
    table = read_parquet(write(tmp_path, columns), Wanted())
    firsts = {"whole": 1, "half": 0.5, "price": 1.25, "day": 1, "noon": 43_200_000}
    for name, first in firsts.items():
        assert np.array_equal(table.columns[name], [first, np.nan], equal_nan=True), name
    assert np.isnan(table.columns["nothing"]).all()
    words = {name: column for name, column in table.columns.items() if isinstance(column, list)}
    assert words == {"flag": ["true", None], "digits": ["12", " n/a "], "label": ["x", None]}


def test_a_model_learns_from_a_parquet_file(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(300, 3))
    columns = {f"x{place}": inputs[:, place] for place in range(3)}
    write(tmp_path, {**columns, "y": ["high" if total > 0 else "low" for total in inputs.sum(axis=1)]})
    schedule = schedule_from_dict({"family": "constant", "start_lr": 0.05, "end_lr": 0.05})
    run = run_of("tabular", {"file": "table.parquet", "epochs": 10}, schedule, data_dir=tmp_path)
    score = train(run)[-1].metrics["val_score"]
    assert score is not None
    assert score > 0.9


@pytest.mark.parametrize(
    ("columns", "params", "said"),
    [
        ({"x": [[1], [2]], "y": [1, 2]}, {}, r"column 'x' has an unsupported type \(allowed: numbers, .*; got 'list<"),
        ({"x": [b"1", b"2"], "y": [1, 2]}, {}, "column 'x' has an unsupported type"),
        ({"x": [1, 2]}, {}, "the schema does not name the columns"),
        ({"x": pa.array([], pa.int8()), "y": pa.array([], pa.int8())}, {}, "it has no rows"),
        ({"x": [1.0, float("inf")], "y": [1, 2]}, {}, "row 2 of column 'x' is too large"),
        ({"x": [1, 2] * 5, "y": [1, 2] * 5}, {"target": "z"}, r"the target is not a column \(allowed: one of x, y;"),
        ({"x": [1, 2] * 5, "y": [1, None] * 5}, {}, "the target 'y' is missing in some rows"),
        ({"x": [1, 2] * 5, "y": ["a"] * 10}, {}, "wrong number of classes"),
    ],
)
def test_a_wrong_table_is_refused_before_training(columns: Any, params: Any, said: str, tmp_path: Path) -> None:
    write(tmp_path, columns)
    with pytest.raises(InvalidDataError, match=said):
        run_of("tabular", {"file": "table.parquet", **params}, data_dir=tmp_path)


@pytest.mark.parametrize("cut", [0, 4, -1, -9, 60])
def test_a_torn_file_is_refused(cut: int, tmp_path: Path) -> None:
    path = write(tmp_path, {"x": [1, 2], "y": [1, 2]})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InvalidDataError, match="not a complete Parquet file"):
        run_of("tabular", {"file": "table.parquet"}, data_dir=tmp_path)


def test_a_file_that_unpacks_to_more_than_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.tasks.tabular.parquet_file.LARGEST_BYTES", 1000)
    path = write(tmp_path, {"x": [0] * 1000, "y": [0] * 1000})
    with pytest.raises(InvalidDataError, match="it is too large"):
        read_parquet(path, Wanted())

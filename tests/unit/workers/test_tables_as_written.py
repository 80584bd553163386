"""Tables written by spreadsheets and data frames are read with the exact numbers that were written, or refused."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.tasks.files import InvalidDataError
from workers.tasks.tabular.csv_file import read_csv
from workers.tasks.tabular.parquet_file import read_parquet
from workers.tasks.tabular.table import Table, Wanted
from workers.tasks.tabular.written_numbers import read_number

GROUPS = {".": ["", ",", " ", "\u00a0", "\u202f", "'", "\u2019"], ",": ["", ".", " ", "\u00a0", "\u202f", "'"]}
DELIMITERS = {".": [",", ";", "\t", "|"], ",": [";", "\t", "|"]}
MINUSES = ["-", "\u2212", "\u2013", "()"]
SIGNS = ["", "%", "$", " \u20ac"]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]
EMPTY = ["", "NA", "N/A", "#N/A", "nan", "-", "NULL", "#DIV/0!"]


def table_of(folder: Path, content: str | bytes, name: str = "table.csv", **wanted: Any) -> Table:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_csv(path, Wanted(**wanted))


def written(number: Decimal, mark: str, group: str, style: dict[str, Any]) -> str:
    """Format a number as a spreadsheet shows it."""
    sign, digits, _ = number.as_tuple()
    body = f"{abs(number):,f}" if group else f"{abs(number):f}"
    body = body.replace(",", "G").replace(".", mark).replace("G", group)
    if style["scientific"]:
        body = f"{abs(number):E}".replace(".", mark)
    unit, minus = str(style["unit"]), str(style["minus"])
    body = unit + body if unit == "$" else body + unit
    if not sign or not any(digits):
        return ("+" if style["plus"] else "") + body
    return f"({body})" if minus == "()" else minus + body


@st.composite
def sheets(draw: st.DrawFn) -> tuple[bytes, list[list[float]]]:
    """The bytes of a table of numbers, and the expected columns, with NaN for empty cells."""
    mark = draw(st.sampled_from(".,"))
    delimiter = draw(st.sampled_from(DELIMITERS[mark]))
    rows = draw(st.integers(1, 8))
    texts, means = [], []
    for _ in range(draw(st.integers(2, 4))):
        places = draw(st.integers(0, 4))
        numbers = draw(
            st.lists(st.decimals(-(10**9), 10**9, places=places, allow_nan=False), min_size=rows, max_size=rows)
        )
        style = {
            "scientific": draw(st.booleans()),
            "unit": draw(st.sampled_from(SIGNS)),
            "plus": draw(st.booleans()),
            "minus": draw(st.sampled_from(MINUSES)),
        }
        group = draw(st.sampled_from(GROUPS[mark]))
        cells = [written(number, mark, group, style) for number in numbers]
        scale = Decimal(100) if style["unit"] == "%" else Decimal(1)
        mean = [float(number / scale) for number in numbers]
        for place in range(rows):
            if draw(st.integers(0, 9)) == 0:
                cells[place], mean[place] = draw(st.sampled_from(EMPTY)), math.nan
        texts.append(cells)
        means.append(mean)
    for place in range(rows):
        if not any(cells[place] for cells in texts):
            # Rows without any content are left out.
            texts[0][place], means[0][place] = "NA", math.nan
    quoted = draw(st.booleans())
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    lines = [[f"column {place}" for place in range(len(texts))], *map(list, zip(*texts, strict=True))]
    body = end.join(delimiter.join(_cell(cell, delimiter, quoted) for cell in line) for line in lines) + end
    return body.encode(draw(st.sampled_from(ENCODINGS))), means


def _cell(cell: str, delimiter: str, quoted: bool) -> str:
    return f'"{cell}"' if quoted or delimiter in cell else cell


@given(sheets())
def test_any_table_of_numbers_is_read_to_the_same_numbers_or_refused(
    tmp_path_factory: pytest.TempPathFactory, sheet: tuple[bytes, list[list[float]]]
) -> None:
    content, means = sheet
    path = tmp_path_factory.getbasetemp() / "sheet.csv"
    path.write_bytes(content)
    try:
        found = read_csv(path, Wanted())
    except InvalidDataError:
        return
    for column, mean in zip(found.columns.values(), means, strict=True):
        assert isinstance(column, np.ndarray), "never categories"
        assert np.array_equal(column, mean, equal_nan=True)


@given(st.floats(-1e100, 1e100), st.sampled_from([repr, "{:e}".format, "{:.17E}".format]))
def test_every_float_comes_back_as_it_was_written(number: float, write: Any) -> None:
    found = read_number(write(number))
    assert found is not None
    assert found.point == float(write(number))


@pytest.mark.parametrize(
    ("cell", "point", "comma"),
    [
        ("1,234", 1234, 1.234),
        ("1.234", 1.234, 1234),
        ("1.5", 1.5, None),
        ("0,123", None, 0.123),
        ("12,34,567.5", 1234567.5, None),
        ("1.234.567,5", None, 1234567.5),
        ("(1,234.50)", -1234.5, None),
        ("-$5", -5, -5),
        ("$-5", -5, -5),
        ("\uff11\uff12", 12, 12),
        ("1.5e-3", 1.5e-3, None),
        ("7%", 0.07, 0.07),
        ("-inf", math.inf, math.inf),
    ],
)
def test_a_cell_is_worth_what_each_decimal_mark_makes_of_it(
    cell: str, point: float | None, comma: float | None
) -> None:
    found = read_number(cell)
    assert found is not None
    assert (found.point, found.comma) == (point, comma)


@pytest.mark.parametrize(
    "cell", ["", "-", ".", "1-2", "10+", "1.2.3", "2024-01-05", "12:30", "0x1F", "nan", "1,23,4", "A5", "5 kg", "--5"]
)
def test_what_only_resembles_a_number_is_none(cell: str) -> None:
    assert read_number(cell) is None


ROWS = [f"{row * 7 % 31},{row},{'hi' if row % 2 else 'lo'}" for row in range(20)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x;y\n" + "1,234;1\n2,345;2\n", r"line 2, column 'x': this may be a thousand .* `decimal`"),
        ("x;y\n" + "1,5;1\n2.5;2\n", r"line 2, column 'x': the column mixes decimal commas and points"),
        ("x,y\n" + "1,2\n" * 9 + "unknown,3\n", r"line 11, column 'x': the column holds numbers, but not here"),
        ("x,y\n" + "$1,2\n" * 9 + "1%,3\n", r"line 11, column 'x': the column mixes units"),
        ("# made by a tool, version 3\nx,z,y\n" + "\n".join(ROWS), "line 1 is a comment"),
        ("A report\nx,z,y\n" + "\n".join(ROWS), "line 1 does not name the columns"),
        ("\n".join(["1.5,2.5,hi", *ROWS]), "the first line is a row"),
        ("\n".join(["1,2,hi", *ROWS]), "the first line is a row"),
        ("red,round\nred,square\nblue,round\n", "the first line is a row"),
        ("x,z,y\nm,kg,\n" + "\n".join(ROWS), r"line 2, column 'x': the column holds numbers"),
        ("x,y\0\n1,2\n", "this is not text"),
    ],
)
def test_what_would_be_misread_is_refused_by_line_and_column(content: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match=said):
        table_of(tmp_path, content)


def test_excels_line_of_the_delimiter_is_obeyed(tmp_path: Path) -> None:
    table = table_of(tmp_path, "sep=;\nx;y\n1,5;2\n")
    assert {name: list(column) for name, column in table.columns.items()} == {"x": [1.5], "y": [2]}


def test_the_delimiter_tells_thousands_and_the_reading_is_said_to_be_doubtful(tmp_path: Path) -> None:
    table = table_of(tmp_path, 'x,y\n"12,345",1\n"98,000",2\n')
    assert list(table.columns["x"]) == [12345, 98000]
    assert table.doubts == ("column 'x': '12,345' is read as 12345; if that is wrong, give the parameter `decimal`",)
    told = table_of(tmp_path, 'x,y\n"12,345",1\n"98,000",2\n', decimal=",")
    assert list(told.columns["x"]) == [12.345, 98]
    assert told.doubts == ()


def test_names_that_count_are_names(tmp_path: Path) -> None:
    table = table_of(tmp_path, "0,1,2\n5,6,a\n7,8,b\n")
    assert list(table.columns) == ["0", "1", "2"]
    assert "read as column names" in table.doubts[0]


def test_a_class_may_be_called_na_where_the_study_says_so(tmp_path: Path) -> None:
    content = "x,region\n1,NA\n2,EU\n3,NA\n"
    table = table_of(tmp_path, content)
    assert (table.columns["region"], table.markers) == ([None, "EU", None], {"region": "NA"})
    assert table_of(tmp_path, content, categories=("region",)).columns["region"] == ["NA", "EU", "NA"]


def test_columns_are_left_out_and_chosen_by_name(tmp_path: Path) -> None:
    content = "id,x,z,y\n7,1,2,a\n9,3,4,b\n"
    assert list(table_of(tmp_path, content, drop=("id",)).columns) == ["x", "z", "y"]
    assert list(table_of(tmp_path, content, columns=("z",)).columns) == ["z", "y"]
    last_dropped = table_of(tmp_path, content, drop=("y",))
    assert (last_dropped.target, dict(last_dropped.dropped)) == ("z", {"y": "the parameter `drop` names it"})
    for wrong in (
        {"drop": ("no",)},
        {"columns": ("no",)},
        {"target": "id", "drop": ("id",)},
        {"drop": ("id", "x", "z")},
    ):
        with pytest.raises(InvalidDataError):
            table_of(tmp_path, content, **wrong)


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_an_index_in_csv_is_no_column(name: str, tmp_path: Path) -> None:
    table = table_of(tmp_path, f"{name},x,y\n2,1.5,a\n0,2.5,b\n1,0.5,a\n")
    assert list(table.columns) == ["x", "y"]
    assert "index" in next(iter(table.dropped.values()))


@pytest.mark.parametrize("told", [True, False])
def test_an_index_in_parquet_is_no_column_and_a_text_is_a_text(told: bool, tmp_path: Path) -> None:
    columns = {"x": [1.0, 2.0, 3.0], "label": ["none", "NA", None], "__index_level_0__": [2, 0, 1]}
    metadata = {"pandas": json.dumps({"index_columns": ["__index_level_0__", {"kind": "range"}]})} if told else {}
    path = tmp_path / "frame.parquet"
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    table = read_parquet(path, Wanted())
    assert (table.target, table.columns["label"]) == ("label", ["none", "NA", None])
    assert list(table.dropped) == ["__index_level_0__"]


def test_texts_that_read_as_numbers_are_doubtful_in_parquet(tmp_path: Path) -> None:
    path = tmp_path / "frame.parquet"
    pq.write_table(pa.table({"x": ["1.5", "2.5", "n/a"], "y": [1, 2, 3]}), path)
    assert "67% of it are numbers" in read_parquet(path, Wanted()).doubts[0]


@pytest.mark.parametrize("kind", ["nulls", "numbers", "texts"])
def test_a_small_file_that_unpacks_to_gigabytes_is_refused_before_it_is_read(kind: str, tmp_path: Path) -> None:
    rows = 20_000_000
    column = {"nulls": pa.nulls(rows), "numbers": pa.array(np.zeros(rows)), "texts": pa.nulls(rows, pa.string())}[kind]
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"x": column, "y": column}), path, compression="zstd")
    assert path.stat().st_size < 250_000
    with pytest.raises(InvalidDataError, match="it is too large"):
        read_parquet(path, Wanted())


def test_more_columns_than_a_spreadsheet_holds_are_refused_at_once(tmp_path: Path) -> None:
    names = ",".join(f"c{place}" for place in range(60_000))
    with pytest.raises(InvalidDataError, match=r"too many columns \(allowed: at most 16384; got 60000\)"):
        table_of(tmp_path, f"{names}\n{','.join('1' * 60_000)}\n")

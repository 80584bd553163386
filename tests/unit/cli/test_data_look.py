"""`lehr data look` shows how tasks would read data, here and on a worker."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from lehr.cli.app import app
from lehr.cli.display.data_lines import data_lines
from lehr.wire.data import DataSummary
from tests.unit.cli.conftest import Stub

ROWS = "".join(f"{row},{row % 7 or ''},{row % 5},{'hi' if row % 2 else 'lo'}\n" for row in range(40))


def look(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["data", "look", *arguments])
    return found.exit_code, found.output


def test_a_table_is_told_by_columns_classes_and_target(tmp_path: Path) -> None:
    path = tmp_path / "people (1).csv"
    path.write_text(f"id,age,size,y\n{ROWS}")
    code, shown = look(str(path), "--drop", "id", "--categories", "size")
    assert code == 0, shown
    for line in (
        ": 40 rows",
        "1 columns of numbers: age (6 missing)",
        "1 columns of categories: size",
        "target y",
        "2 classes: hi 20, lo 20",
        "left out: column 'id': --drop names it",
    ):
        assert line in shown
    code, shown = look(str(path), "--target", "age", "--json")
    assert code == 0, shown
    assert json.loads(shown)["target"] == "age"


def test_a_folder_of_pictures_is_told_by_classes_and_what_is_left_out(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for place in range(3):
            Image.fromarray(np.full((8, 8, 3), place, np.uint8)).save(tmp_path / name / f"{place}.png")
    (tmp_path / "cat" / "x.heic").touch()
    code, shown = look(str(tmp_path))
    assert code == 0, shown
    assert "2 classes: cat 3, dog 3" in shown
    assert "left out: one file ending in '.heic'" in shown


@pytest.mark.parametrize("name", ["none.csv", "wrong.csv"])
def test_what_cannot_be_read_is_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.csv").write_text("1.5,2.5\n1,2\n")
    code, shown = look(str(tmp_path / name))
    assert code != 0
    assert name in shown
    assert "Traceback" not in shown


def test_long_lists_are_cut() -> None:
    summary = DataSummary(source="a", rows=1, classes={f"c{place:02}": 1 for place in range(20)}, classes_count=20)
    assert data_lines(summary)[-1].endswith("c11 1, and 8 more")


AGE = {"name": "age", "kind": "numbers", "missing": 0}
SEEN = {
    "look_id": "l1", "task": "tabular", "params": {}, "state": "COMPLETED", "error": None,
    "data": {"source": "people.csv", "rows": 40, "target": "y", "columns": [AGE], "columns_count": 1},
    "created_at": "2026-01-01T00:00:00Z",
}  # fmt: skip


def test_a_worker_that_has_the_data_is_asked_through_the_server(stub: Stub) -> None:
    stub.on("POST /v1/tasks/tabular/look", {**SEEN, "state": "WAITING", "data": None})
    stub.on("GET /v1/looks/l1", {**SEEN, "state": "RUNNING", "data": None}, SEEN)
    code, shown = look("people.csv", "--task", "tabular", "--drop", "id", "--server", stub.url)
    assert code == 0, shown
    assert "people.csv: 40 rows" in shown
    (asked,) = stub.bodies["POST /v1/tasks/tabular/look"]
    assert asked["params"] == {"file": "people.csv", "drop": ["id"]}


def test_what_the_worker_says_of_data_that_it_cannot_read_is_shown(stub: Stub) -> None:
    failed = {**SEEN, "state": "FAILED", "data": None, "error": "'none' is not on this machine"}
    stub.on("POST /v1/tasks/images/look", failed)
    code, shown = look("none", "--task", "images", "--server", stub.url)
    assert code == 1
    assert "'none' is not on this machine" in shown
    assert stub.bodies["POST /v1/tasks/images/look"][0]["params"] == {"data": "folder", "folder": "none"}


def test_a_task_whose_data_have_no_file_is_refused_with_the_call(stub: Stub) -> None:
    code, shown = look("x", "--task", "my:task", "--server", stub.url)
    assert code != 0
    assert "POST /v1/tasks/my:task/look" in " ".join(shown.split())

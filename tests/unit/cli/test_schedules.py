"""Drawing several schedules, reading them from files, and exporting them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from lehr.cli.display.overlay import overlay
from lehr.schedules import Cosine, Linear
from lehr.schedules.portable import FRAMEWORKS, export
from tests.unit.cli.conftest import lehr

COSINE = {"family": "cosine", "start_lr": 0.1, "end_lr": 0.001}
LINEAR = {"family": "linear", "start_lr": 0.2, "end_lr": 0.0}


@pytest.fixture
def cosine_file(tmp_path: Path) -> str:
    path = tmp_path / "cosine.yaml"
    path.write_text("family: cosine\nstart_lr: 1e-1\nend_lr: 0.001\n")
    return str(path)


def test_families_and_files_are_drawn_together(cosine_file: str) -> None:
    result = lehr("preview", "linear", cosine_file, "one_cycle")
    assert result.exit_code == 0, result.stderr
    drawn, legend = result.stdout.splitlines()[:12], result.stdout.splitlines()[-3:]
    assert [line.split()[:2] for line in legend] == [["a", "linear"], ["b", "cosine"], ["c", "one_cycle"]]
    assert all(any(letter in line.split("|")[-1] for line in drawn) for letter in "abc")


@pytest.mark.parametrize(
    ("document", "count"),
    [
        (COSINE, 1),
        ([COSINE, LINEAR], 2),
        ({"schedule": COSINE, "verdict": "better"}, 1),
        ({"schedules": [COSINE, LINEAR, COSINE]}, 3),
    ],
)
def test_schedules_are_read_from_stdin_however_they_are_wrapped(document: Any, count: int) -> None:
    result = lehr("preview", "-", "--json", "--points", "3", stdin=json.dumps(document))
    answer = json.loads(result.stdout)
    assert len(answer.get("schedules", [answer])) == count


def test_several_schedules_as_json_come_with_their_rates() -> None:
    answer = json.loads(lehr("preview", "-", "--json", "--horizon", "5", stdin=json.dumps([COSINE, LINEAR])).stdout)
    assert [each["schedule"]["family"] for each in answer["schedules"]] == ["cosine", "linear"]
    assert answer["schedules"][1]["lr"] == list(Linear(start_lr=0.2, end_lr=0.0).curve(5).lr)


def test_a_picture_is_written(tmp_path: Path) -> None:
    path = tmp_path / "picture.svg"
    assert lehr("preview", "cosine", "wsd", "--svg", str(path)).exit_code == 0
    assert ElementTree.parse(path).getroot().get("role") == "img"
    refused = lehr("preview", "cosine", "--svg", str(tmp_path / "absent" / "picture.svg"))
    assert refused.exit_code == 1
    assert "cannot be written" in refused.stderr


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "no schedule"),
        ("cosine", "no schedule"),
        ({"study_id": "x"}, "no schedule"),
        ({**COSINE, "end_lr": 3}, "end_lr"),
        ([COSINE, {**COSINE, "family": "cosin"}], "[1].family"),
    ],
)
def test_a_file_without_a_valid_schedule_is_refused_with_the_place(document: Any, told: str) -> None:
    result = lehr("preview", "-", stdin=json.dumps(document))
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.output


def test_a_file_that_is_missing_is_refused() -> None:
    result = lehr("preview", "absent.yaml")
    assert result.exit_code == 2
    assert "absent.yaml cannot be read" in result.stderr


def test_two_lines_that_cross_keep_their_letters() -> None:
    drawn = overlay([([0, 9], [1.0, 0.0]), ([0, 9], [0.0, 1.0])], ["x", "y"], width=10, height=10, coloured=False)
    rows = [line.split("|")[1] for line in drawn.plain.splitlines()[:10]]
    assert [row.index("a") for row in rows] == list(range(10))
    assert [row.index("b") for row in rows] == list(range(9, -1, -1))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_exported_file_is_what_lehr_exports(cosine_file: str, framework: str) -> None:
    result = lehr("export", cosine_file, "--to", framework, "--horizon", "100")
    expected = export(Cosine(start_lr=0.1, end_lr=0.001), framework, 100)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.rstrip("\n") == expected.code.rstrip("\n")
    assert expected.note in result.stderr
    assert ("not exact" in result.stderr) is not expected.exact


def test_an_export_as_json_holds_all_of_it(tmp_path: Path) -> None:
    answer = json.loads(lehr("export", "cosine", "--to", "optax", "--horizon", "9", "--json").stdout)
    assert answer.keys() == {"framework", "code", "exact", "form", "note"}
    path = tmp_path / "schedule.py"
    assert lehr("export", "cosine", "--horizon", "9", "-o", str(path)).stdout == ""
    assert "LehrLR" in path.read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ("cosine", "--to", "optex", "--horizon", "9"),
        ("cosine", "--to", "torch"),
        ("cosine", "--horizon", "0"),
        ("plateau", "--to", "optax", "--horizon", "9"),
        ("nonsense", "--horizon", "9"),
    ],
)
def test_an_export_that_cannot_be_exits_with_2(arguments: tuple[str, ...]) -> None:
    result = lehr("export", *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output

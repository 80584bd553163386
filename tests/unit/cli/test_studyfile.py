"""Study files are parsed as written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lehr.cli.inputs.study_file import StudyFileError, parse, read_study, scalar
from lehr.wire.studies import StudySpec

EXAMPLE = Path(__file__).parents[3] / "examples" / "digits.yaml"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("1.5e+3", 1500.0),
        ("-2e-2", -0.02),
        (".5", 0.5),
        ("3.", 3.0),
        ("30", 30),
        ("-7", -7),
        ("010", 10),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0x1f", "0x1f"),
        ("2026-01-02", "2026-01-02"),
        ("'1e-4'", "1e-4"),
        ("1e", "1e"),
        ("e5", "e5"),
        ("[linear, 1e-3]", ["linear", 1e-3]),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_a_rate_without_a_point_is_a_text_to_yaml_1_1_and_a_number_here() -> None:
    assert yaml.safe_load("1e-4") == "1e-4"
    assert parse("low: 1e-4", "test") == {"low": 1e-4}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_that_python_writes_is_read_back(number: float) -> None:
    assert parse(f"x: {number!r}", "test")["x"] == number


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values))
def test_json_is_read_as_json(document: dict[str, Any]) -> None:
    assert parse(json.dumps(document, indent="\t"), "test") == document


def test_infinity_is_read_and_left_for_the_client_to_refuse() -> None:
    assert parse("x: .inf", "test") == {"x": math.inf}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\na: 2", "line 2.*duplicate key 'a'"),
        ('{"a": 1, "a": 2}', "duplicate key 'a'"),
        ('{"a": NaN}', "NaN"),
        ("a: [1", "line 1"),
        ("a: !!python/object/apply:os.getcwd []", "tag"),
        ("a: !!int 12x", "not an integer"),
        ("[" * 5000, "line|deeply"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(StudyFileError, match=reason):
        parse(text, "test")


@pytest.mark.parametrize("text", ["", "- 1", "12", "just words"])
def test_a_file_that_holds_no_study_says_what_a_study_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(StudyFileError, match="name, task, objective and budget"):
        read_study(str(path))


def test_a_broken_json_file_is_told_as_json(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_text('{"a": 1,}')
    with pytest.raises(StudyFileError, match="line 1, column"):
        read_study(str(path))


def test_the_example_is_a_valid_study_for_this_reader_and_for_yaml_1_1() -> None:
    document = read_study(str(EXAMPLE))
    assert document == yaml.safe_load(EXAMPLE.read_text())
    assert StudySpec.model_validate_json(json.dumps(document)).budget.trials == 30

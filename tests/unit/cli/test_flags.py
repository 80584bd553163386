"""Errors of this machine name the option that the user typed, and suggest the closest match."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Stub, lehr
from tests.unit.client.stub import page, study


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("preview", "cosine", "--start-lr=-1"), "--start-lr"),
        (("preview", "wsd", "--warmup-fraction", "3"), "--warmup-fraction"),
        (("preview", "linear", "--peak-lr", "1"), "Give a --warmup-fraction above 0, or leave --peak-lr out."),
        (("preview", "polynomial", "--param", "powr=2"), "--param powr"),
        (("preview", "polynomial", "--param", "powr=2"), "Did you mean power?"),
        (("preview", "COSIN"), "Did you mean cosine?"),
        (("export", "cosine", "--horizon", "10", "--to", "torhc"), "--to"),
        (("export", "cosine", "--horizon", "10", "--to", "torhc"), "Did you mean torch?"),
        (("export", "cosine", "--horizon", "10", "--param", "start_lr=-1"), "--param start_lr"),
        (("data", "get", "cifar1"), "Did you mean cifar10?"),
        (("transfer", "s1", "--rule", "bacth=linear"), "Did you mean batch?"),
        (("transfer", "s1", "--from", "step=3"), "Did you mean steps?"),
        (("sumbit",), "Did you mean 'submit'?"),
        (("preview", "--star-lr", "1"), "--start-lr"),
    ],
)
def test_a_refusal_names_the_option_or_the_word_that_was_meant(arguments: tuple[str, ...], named: str) -> None:
    result = lehr(*arguments)
    assert result.exit_code == 2
    assert named in result.stderr
    assert "framework" not in result.stderr.splitlines()[1]


def test_a_schedules_file_is_refused_by_its_own_fields(tmp_path: Path) -> None:
    file = tmp_path / "schedule.yaml"
    file.write_text("{family: cosine, start_lr: -1, end_lr: 0}")
    assert "--start-lr" not in lehr("preview", str(file)).stderr


@pytest.mark.parametrize(
    ("asked", "meant"), [("mnie", "mine"), ("MINE", "mine"), ("0123456789abcdef0123456789abcdeg", "0123456789abcdef")]
)
def test_a_mistyped_study_suggests_the_one_that_is_there(stub: Stub, asked: str, meant: str) -> None:
    stub.on("GET /v1/studies", page(study(study_id="0123456789abcdef0123456789abcdef")))
    result = lehr("status", asked, "--server", stub.url)
    assert result.exit_code == 1
    assert f"Did you mean {meant}" in result.stderr


def test_a_study_like_no_other_suggests_none(stub: Stub) -> None:
    stub.on("GET /v1/studies", page(study()))
    assert "Did you mean" not in lehr("status", "resnet", "--server", stub.url).stderr


@pytest.mark.parametrize(
    ("program", "arguments", "named"),
    [
        ("workers", ("--max-trials", "100000"), "--max-trials"),
        ("workers", ("--device", "gpu"), "--device"),
        ("service", ("serve", "--port", "70000"), "--port"),
    ],
)
def test_the_programs_themselves_name_the_flag(program: str, arguments: tuple[str, ...], named: str) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", program, *arguments], check=False, capture_output=True, text=True, timeout=120
    )
    assert refused.returncode == 2
    assert f": {named}: " in refused.stderr


def test_a_setting_of_the_environment_is_named_by_its_variable() -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "workers"],
        check=False, capture_output=True, text=True, timeout=120, env={"LEHR_TRIALS_PER_LEASE": "100000"},
    )  # fmt: skip
    assert refused.returncode == 2
    assert ": LEHR_TRIALS_PER_LEASE: " in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "named"), [(("--column", "q"), "--column"), (("--categories", "q"), "--categories"),
                             (("--drop", "q"), "--drop"), (("--decimal", "x"), "--decimal")]
)  # fmt: skip
def test_a_look_at_data_names_its_options(tmp_path: Path, arguments: tuple[str, ...], named: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b,y\n" + "1,2,yes\n2,1,no\n" * 10)
    result = lehr("data", "look", str(table), *arguments)
    assert result.exit_code != 0
    assert named in result.stderr
    assert "parameter" not in result.stderr
    assert "workers.look" not in result.stderr

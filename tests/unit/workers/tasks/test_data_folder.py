"""A worker trains on the data of its own folder, and reports missing data."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from lehr.cli.display.data_lines import data_lines
from lehr.wire.data import DataSummary
from tests.unit.workers.fake_server import FakeServer, FakeTrial
from tests.unit.workers.in_process import working
from tests.unit.workers.tasks.image_files import drawn, write_idx
from workers.tasks.digits.task import Digits
from workers.tasks.params import InvalidParamsError
from workers.training.solo import build_task

TEXT = {"name": "text", "params": {"file": "poem.txt", "context": 8, "layers": 1, "heads": 1, "epochs": 1}}


def outcome(task: dict[str, Any], folder: Path) -> FakeTrial:
    trial = FakeTrial("t1")
    with FakeServer(trial, task=task) as server, working(server, folder, data_dir=folder / "data"):
        server.wait_until(lambda: trial.finishes)
    return trial


def test_a_file_of_the_data_folder_is_trained_on(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "poem.txt").write_text("to be or not to be\n" * 30)
    trial = outcome(TEXT, tmp_path)
    assert (trial.state, trial.error) == ("COMPLETED", None)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (
            TEXT,
            "MissingDataError: The data set 'poem.txt' is not on this worker's machine. Looked for: {}/data/poem.txt.",
        ),
        ({"name": "images", "params": {"data": "cifar10"}}, "MissingDataError: The data set 'cifar10' is not on"),
        (
            {"name": "text", "params": {"file": "empty.txt"}},
            "InvalidDataError: empty.txt: the training or the validation",
        ),
    ],
)
def test_a_trial_whose_data_is_missing_or_wrong_fails_by_name(task: Any, said: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "empty.txt").touch()
    trial = outcome(task, tmp_path)
    assert trial.state == "FAILED"
    assert said.format(tmp_path) in (trial.error or "")
    assert not trial.reports


def test_the_server_is_told_once_a_lease_what_was_made_of_the_data(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows = "".join(f"{row},{row % 7},{'hi' if row % 2 else 'lo'},{row % 3 or 'x'}\n" for row in range(40))
    (tmp_path / "data" / "table.csv").write_text(f"id,age,y,code\n{rows}")
    params = {"file": "table.csv", "target": "y", "drop": ["id"], "epochs": 2}
    trials = [FakeTrial("t1"), FakeTrial("t2")]
    server = FakeServer(*trials, task={"name": "tabular", "params": params})
    server.objective["metric"] = "val_score"
    with server, working(server, tmp_path, data_dir=tmp_path / "data"):
        server.wait_until(lambda: all(trial.finishes for trial in trials))
    assert [trial.state for trial in trials] == ["COMPLETED"] * 2
    told = [DataSummary.model_validate(one) for one in server.told_data]
    assert told
    assert (told[0].rows, told[0].target, told[0].classes) == (40, "y", {"hi": 20, "lo": 20})
    assert [(one.name, one.kind) for one in told[0].columns] == [("age", "numbers"), ("code", "categories")]
    assert told[0].left_out == ["column 'id': the parameter `drop` names it"]
    assert "65% of it are numbers" in told[0].doubts[0]


def test_it_is_told_too_where_every_trial_fails_after_the_data_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(task: Digits) -> nn.Module:
        raise ValueError("no such layer")

    monkeypatch.setattr(Digits, "build_model", broken)
    trials = [FakeTrial("t1"), FakeTrial("t2")]
    with FakeServer(*trials) as server, working(server, tmp_path):
        server.wait_until(lambda: all(trial.finishes for trial in trials))
    assert [trial.state for trial in trials] == ["FAILED"] * 2
    assert "no such layer" in (trials[0].error or "")
    assert not trials[0].reports
    assert server.order.index("report") < server.order.index("finish"), "after the result nothing more is heard"
    assert server.told_data[0]["rows"] == 1797


def test_of_every_built_in_task_it_is_known_what_was_read(tmp_path: Path) -> None:
    text = 3 * "to be, or not to be"
    (tmp_path / "words.txt").write_text(text)
    write_idx(tmp_path / "mnist", drawn(80, (28, 28), 10), drawn(20, (28, 28), 10, seed=1), packed=True)
    tasks: dict[str, dict[str, Any]] = {
        "digits": {},
        "images": {"data": "mnist"},
        "text": {"file": "words.txt", "context": 2, "train_limit": 50},
    }
    found = {}
    for name, params in tasks.items():
        task = build_task({"name": name, "params": params}, tmp_path)
        task.data(torch.device("cpu"))
        found[name] = task.summary()
    digits, images, words = found["digits"], found["images"], found["text"]
    assert digits is not None
    assert images is not None
    assert words is not None
    truth = Counter(load_digits().target.tolist())
    assert (digits.rows, digits.classes) == (1797, {str(digit): truth[digit] for digit in range(10)})
    assert (images.source, images.rows, images.classes) == ("mnist", 100, {str(digit): 10 for digit in range(10)})
    assert (words.rows, words.left_out) == (50, ["7 of 57 tokens: train_limit is 50"])
    assert data_lines(words) == [
        "words.txt: 50 tokens", "target the next character", "left out: 7 of 57 tokens: train_limit is 50",
    ]  # fmt: skip
    assert data_lines(images)[0] == "mnist: 100 examples"


@pytest.mark.parametrize("name", ["data (1).csv", "données.csv", "a,b;c.csv", "a b/ü.csv", "表.csv", "x'y&z.csv"])
def test_any_file_of_the_folder_may_be_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / unicodedata.normalize("NFD", name)
    path.parent.mkdir(exist_ok=True)
    path.write_text("x,y\n" + "1,a\n2,b\n" * 10)
    data = build_task({"name": "tabular", "params": {"file": name}}, tmp_path).data(torch.device("cpu"))
    assert data.train_size == 16


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../x", ".hidden", "a/.x", "a//b", "a\\b", "x\n", "a/"])
def test_nothing_outside_the_folder_or_hidden_may_be_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidParamsError, match=r"task\.params\.file: .*a CSV or Parquet file in the data folder"):
        build_task({"name": "tabular", "params": {"file": name}}, tmp_path)

"""Tasks of other packages: found by entry point, loaded by name, or refused with a clear error."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from lehr.errors import InvalidValueError
from lehr.wire.leases import LeasedStudy
from workers.lease.allowed_tasks import AllowedTasks
from workers.settings import WorkerSettings
from workers.tasks.installed import InvalidTaskError
from workers.tasks.registry import find_task, offers
from workers.trainer import Finished

CODE = """
from torch import nn
from workers.tasks.public import Task, TensorData, TrainingParams
from pydantic import model_validator

class Params(TrainingParams):
    layers: list[int] = [3]

    @model_validator(mode="after")
    def _rule(self):
        if len(self.layers) > self.epochs:
            raise ValueError("more layers than epochs")
        return self

class Whole(Task):
    params_model = Params
    def data(self, device): ...
    def build_model(self): ...
    def loss(self, outputs, targets): ...

class Half(Task):
    def data(self, device): ...

class Needy(Whole):
    class params_model(TrainingParams):
        width: int

class Odd: ...
"""


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install a package with these lines as entry points."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "their_tasks", raising=False)
    (tmp_path / "their_tasks.py").write_text(CODE)

    def install(*lines: str, package: str = "theirs") -> None:
        folder = tmp_path / f"{package}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text("\n".join(["[lehr.tasks]", *lines, ""]))

    return install


def test_a_task_is_offered_under_the_name_of_its_entry_point_with_its_own_parameters(declare: Any) -> None:
    declare("theirs:whole = their_tasks:Whole")
    (offer,) = offers(["theirs:whole"])
    assert offer.name == "theirs:whole"
    assert offer.metrics == ["val_loss"]
    assert {"layers", "epochs", "optimizer"} <= set((offer.params_schema or {})["properties"])


def test_nothing_of_a_package_is_loaded_unless_its_task_is_named(declare: Any) -> None:
    declare("theirs:whole = their_tasks:Whole")
    assert WorkerSettings(tasks=("digits", "theirs:whole")).tasks == ("digits", "theirs:whole")
    offers(["digits"])
    assert "their_tasks" not in sys.modules
    offers(["theirs:whole"])
    assert "their_tasks" in sys.modules


def test_by_default_a_worker_offers_no_task_of_another_package(declare: Any) -> None:
    declare("theirs:whole = their_tasks:Whole")
    assert WorkerSettings().tasks == ("digits", "images", "text", "tabular")


def test_no_package_takes_the_place_of_a_task_that_is_built_in(declare: Any) -> None:
    declare("digits = their_tasks:Whole")
    assert find_task("digits").__module__ == "workers.tasks.digits.task"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("their_tasks:Half", "it has no build_model, loss"),
        ("their_tasks:Odd", "it is not a task"),
        ("their_tasks:Needy", "a parameter has no default"),
        ("their_tasks:Missing", "loading it raises AttributeError"),
        ("no_such_module:Task", "loading it raises ModuleNotFoundError"),
    ],
)
def test_a_task_that_cannot_be_used_is_refused_with_the_reason(declare: Any, target: str, reason: str) -> None:
    declare(f"theirs:task = {target}")
    with pytest.raises(InvalidTaskError, match=reason):
        offers(["theirs:task"])


def test_two_packages_with_one_task_name_are_refused(declare: Any) -> None:
    declare("theirs:task = their_tasks:Whole")
    declare("theirs:task = their_tasks:Half", package="others")
    with pytest.raises(InvalidTaskError, match="several packages define it"):
        find_task("theirs:task")


def test_an_unknown_task_is_refused_with_those_that_are_installed(declare: Any) -> None:
    declare("theirs:task = their_tasks:Whole", "No Study can name = their_tasks:Whole")
    with pytest.raises(InvalidValueError, match="one of digits, images, text, tabular, theirs:task;"):
        find_task("theirs:tusk")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"layers": ["a"]}, r"task.params.layers.0: .*integer.*allowed: array"),
        ({"layers": [1, 2], "epochs": 1}, r"more layers than epochs"),
    ],
)
def test_faults_in_parameters_of_any_shape_are_told_by_field(declare: Any, params: dict[str, Any], words: str) -> None:
    from workers.training.solo import build_task

    declare("theirs:whole = their_tasks:Whole")
    with pytest.raises(InvalidValueError, match=words):
        build_task({"name": "theirs:whole", "params": params})


def test_a_lease_of_a_task_that_the_operator_did_not_name_fails_before_it_is_loaded(declare: Any) -> None:
    declare("theirs:whole = their_tasks:Whole")
    study = LeasedStudy(study_id="s", task={"name": "theirs:whole", "params": {}}, objective={"metric": "val_loss"})
    nobody: Any = None
    channel, trial = Mock(), Mock()
    AllowedTasks(nobody, frozenset({"digits"})).train(study, [trial], channel)
    ((ended, outcome),) = (call.args for call in channel.end.call_args_list)
    assert ended is trial
    assert isinstance(outcome, Finished)
    assert outcome.state == "FAILED"
    assert "may not train this task (allowed: one of digits; got 'theirs:whole')" in (outcome.error or "")
    assert "their_tasks" not in sys.modules

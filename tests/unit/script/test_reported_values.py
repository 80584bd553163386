"""Scripts may report the types and metric names that frameworks use; invalid steps are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from lehr.client import Client
from lehr.errors import ConflictError, InvalidValueError
from lehr.script import ScriptClient, ScriptTrial
from lehr.wire.trials import Trial
from tests.architecture.sources import ROOT

STEPS = 10
NAMES = ["acc@1", "macro avg", "mAP50(B)", "val/loss", "précision", "1-recall", "top-5 %", "Fβ", "損失", "a=b, c<d>",
         "'quoted' \"twice\" \\", "[bold]x[/]", "{brace}", "e" * 200]  # fmt: skip


def train(url: str, spec: dict[str, Any], body: Callable[[ScriptTrial], Any], steps: Any = STEPS) -> str:
    """Run one trial; returns its study."""
    with ScriptClient(url) as scripts:
        for trial in scripts.trials(spec | {"budget": {"trials": 1}, "warm_start": "off"}, horizon_steps=steps):
            with trial:
                body(trial)
    return trial.study_id


def ended(client: Client, study: str) -> Trial:
    return client.trial(study, 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_keeps_the_name_that_people_give_it(url: str, client: Client, spec: dict[str, Any], name: str) -> None:
    study = train(url, spec, lambda trial: trial.report(9, {"loss": 0.3, name: 0.9}))
    assert (ended(client, study).state, ended(client, study).value) == ("COMPLETED", 0.3)
    assert client.curve(study, 0).metrics == {"loss": [0.3], name: [0.9]}


@pytest.mark.parametrize("name", NAMES)
def test_any_such_name_may_be_the_objective(url: str, client: Client, spec: dict[str, Any], name: str) -> None:
    spec = spec | {"objective": {"metric": name, "direction": "minimize"}}
    study = train(url, spec, lambda trial: trial.report(9, {name: 0.4}))
    assert ended(client, study).value == 0.4
    assert client.best(study).metric == name


@pytest.mark.parametrize(
    "extra",
    [{"a\nb": 1.0}, {"\x1b[31mred": 1.0}, {"\u202eevil": 1.0}, {"": 1.0}, {"e" * 201: 1.0}, {7: 1.0}, {"\ud800": 1.0},
     {"report": {"f1": 0.5}}, {"text": "good"}, {"none": None}, {"vector": np.ones(3)}, {"image": torch.ones(2, 2)},
     {f"class_{index}": 0.1 for index in range(300)}],
)  # fmt: skip
def test_a_side_metric_that_cannot_be_kept_is_left_out_with_one_warning(
    url: str, client: Client, spec: dict[str, Any], caplog: pytest.LogCaptureFixture, extra: dict[Any, Any]
) -> None:
    def body(trial: ScriptTrial) -> None:
        for step in (4, 9):
            trial.report(step, {**extra, "loss": 0.3})

    study = train(url, spec, body)
    assert ended(client, study).state == "COMPLETED"
    kept = client.curve(study, 0).metrics
    assert kept["loss"] == [0.3, 0.3]
    left_out = [record for record in caplog.records if "left out" in record.getMessage()]
    assert len(left_out) == len(extra) - (len(kept) - 1)
    assert len(kept) <= 100


class Seven:
    def __index__(self) -> int:
        return 7


@pytest.mark.parametrize(
    "step", [np.int64(7), np.uint8(7), np.array(7), torch.tensor(7), torch.tensor([7]), Seven()], ids=str
)
def test_a_step_may_be_any_kind_of_whole_number(url: str, client: Client, spec: dict[str, Any], step: Any) -> None:
    study = train(url, spec, lambda trial: (trial.lr(step), trial.momentum(step), trial.report(step, {"loss": 0.3})))
    assert client.curve(study, 0).step == [7]
    assert client.curve(study, 0).lr == [ended(client, study).schedule.lr(7, STEPS)]


@pytest.mark.parametrize("horizon", [np.int32(12), torch.tensor(12), lambda params: np.int64(12)])
def test_a_horizon_may_be_any_kind_of_whole_number(
    url: str, client: Client, spec: dict[str, Any], horizon: Any
) -> None:
    def body(trial: ScriptTrial) -> None:
        assert (trial.horizon_steps, type(trial.horizon_steps)) == (12, int)
        for step in np.arange(trial.horizon_steps):
            assert type(trial.lr(step)) is float
        trial.report(11, {"loss": 0.3})

    assert ended(client, train(url, spec, body, horizon)).state == "COMPLETED"


@pytest.mark.parametrize(
    "value",
    [np.float32(0.25), np.float64(0.25), np.float16(0.25), np.longdouble(0.25), np.array(0.25), np.array([0.25]),
     torch.tensor(0.25), torch.tensor([0.25]), torch.tensor(0.25, dtype=torch.bfloat16),
     torch.tensor(0.25, requires_grad=True), torch.nn.Parameter(torch.tensor(0.25)), Decimal("0.25"), Fraction(1, 4)],
    ids=repr,
)  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_a_value_may_be_any_kind_of_number(url: str, client: Client, spec: dict[str, Any], value: Any) -> None:
    study = train(url, spec, lambda trial: trial.report(9, {"loss": value}, train_loss=value, epoch=value))
    curve = client.curve(study, 0)
    assert (ended(client, study).value, curve.train_loss, curve.epoch) == (0.25, [0.25], [0.25])


@pytest.mark.parametrize("value", [10**400, Decimal("1e400"), 1e155, -1e308, Fraction(10**400, 3), np.inf])
def test_a_loss_beyond_all_bounds_has_diverged(url: str, client: Client, spec: dict[str, Any], value: Any) -> None:
    study = train(url, spec, lambda trial: trial.report(4, {"loss": value, "other": value}))
    assert ended(client, study).state == "DIVERGED"
    assert client.curve(study, 0).metrics == {"loss": [None], "other": [None]}


@pytest.mark.parametrize("value", ["0.3", None, [0.3, 0.4], np.ones(2), torch.ones(2), {"f1": 1.0}, 1j], ids=repr)
def test_an_objective_that_is_no_number_is_refused_by_name(
    url: str, client: Client, spec: dict[str, Any], value: Any
) -> None:
    trial = ended(client, train(url, spec, lambda trial: trial.report(9, {"loss": value})))
    assert trial.state == "FAILED"
    assert "InvalidValueError: loss: is not a number (allowed: a single number" in (trial.error or "")


@pytest.mark.parametrize(
    ("steps", "refused"),
    [([9, 8], r"step: is before step 9, the last one reported \(allowed: none: 9 is the last step; got 8\)"),
     ([0, 1, 2, 0], "step: is before step 2, the last one reported"),
     ([3, 3], r"step: was already reported \(allowed: a whole number in \[4, 9\]; got 3\)"),
     ([10], r"step: is beyond the trial's horizon \(allowed: a whole number in \[0, 9\]; got 10\)"),
     ([0, 5000], "step: is beyond the trial's horizon"),
     ([2**70], "step: is beyond the trial's horizon"),
     ([-1], "step: is out of bounds"),
     ([9.0], "step: is not a whole number"),
     ([True], "step: is not a whole number"),
     (["9"], "step: is not a whole number"),
     ([None], "step: is not a whole number")],
)  # fmt: skip
def test_a_wrong_step_is_refused_and_nothing_of_it_is_kept(
    url: str, client: Client, spec: dict[str, Any], steps: list[Any], refused: str
) -> None:
    *right, wrong = steps

    def body(trial: ScriptTrial) -> None:
        for step in right:
            trial.report(step, {"loss": 0.3})
        with pytest.raises(InvalidValueError, match=refused) as caught:
            trial.report(wrong, {"loss": 0.1})
        assert "Count optimizer steps over the whole training" in str(caught.value)
        raise caught.value

    study = train(url, spec, body)
    assert ended(client, study).state == "FAILED"
    assert client.curve(study, 0).step == right
    assert client.curve(study, 0).metrics == ({"loss": [0.3] * len(right)} if right else {})


def test_a_second_evaluation_of_a_step_is_added_to_its_report(url: str, client: Client, spec: dict[str, Any]) -> None:
    def body(trial: ScriptTrial) -> None:
        with pytest.raises(ConflictError, match="no report to add to"):
            trial.amend({"f1": 0.5})
        trial.report(9, {"loss": 0.3, "f1": 0.4}, train_loss=0.2, epoch=1)
        trial.amend({"f1": 0.5, "auc": 0.9})

    study = train(url, spec, body)
    curve = client.curve(study, 0)
    assert curve.metrics == {"loss": [0.3], "f1": [0.5], "auc": [0.9]}
    assert (curve.train_loss, curve.epoch, ended(client, study).value) == ([0.2], [1.0], 0.3)


@pytest.mark.parametrize("epoch", [-1, float("nan"), "one", float("inf")])
def test_an_epoch_that_is_none_is_refused(url: str, client: Client, spec: dict[str, Any], epoch: Any) -> None:
    trial = ended(client, train(url, spec, lambda trial: trial.report(9, {"loss": 0.3}, epoch=epoch)))
    assert trial.state == "FAILED"
    assert "InvalidValueError: epoch: is " in (trial.error or "")


@pytest.mark.parametrize("checkpoint", ["", "x" * 2001, "a\0b", b"bytes", 7])
def test_a_checkpoint_that_is_no_path_is_refused(
    url: str, client: Client, spec: dict[str, Any], checkpoint: Any
) -> None:
    trial = ended(client, train(url, spec, lambda trial: trial.saved(checkpoint)))
    assert trial.state == "FAILED"
    assert "InvalidValueError: checkpoint: is not a path" in (trial.error or "")


def test_the_training_loss_may_be_the_objective(url: str, client: Client, spec: dict[str, Any]) -> None:
    spec = spec | {"objective": {"metric": "train_loss", "direction": "minimize"}}
    study = train(url, spec, lambda trial: [trial.report(step, train_loss=1 / (1 + step)) for step in range(STEPS)])
    assert (ended(client, study).state, ended(client, study).value) == ("COMPLETED", 0.1)
    assert client.curve(study, 0).metrics["train_loss"] == client.curve(study, 0).train_loss
    assert client.best(study).value == 0.1


@pytest.mark.parametrize(
    ("metric", "reported", "train_loss", "says"),
    [("val_loss", {"val_los": 0.3, "accuracy": 0.9}, 0.2,
      "It reported val_los, accuracy, train_loss. Did you mean val_los?"),
     ("val_loss", {"eval_loss": 0.3}, None, "It reported eval_loss. Did you mean eval_loss?"),
     ("f1", {"accuracy": 0.9}, None, "It reported accuracy. Choose the study's metric from the list."),
     ("f1", {}, None, "It reported nothing.")],
)  # fmt: skip
def test_a_missing_objective_is_named_with_what_was_reported(
    url: str, client: Client, spec: dict[str, Any], metric: str, reported: Any, train_loss: Any, says: str
) -> None:
    spec = spec | {"objective": {"metric": metric, "direction": "minimize"}}

    def body(trial: ScriptTrial) -> None:
        if reported:
            trial.report(9, reported, train_loss=train_loss)

    trial = ended(client, train(url, spec, body))
    assert trial.state == "FAILED"
    assert trial.error == f"the script never reported {metric}; call trial.report(step, {{'{metric}': …}}). {says}"


def test_a_checkpoint_that_was_saved_is_what_the_next_attempt_gets(
    url: str, client: Client, spec: dict[str, Any]
) -> None:
    with ScriptClient(url) as scripts:
        for trial in scripts.trials(spec, horizon_steps=STEPS):
            trial.report(0, {"loss": 1.0})
            trial.saved(ROOT / "saved")
            break
    with ScriptClient(url) as scripts:
        again = next(scripts.trials(spec, horizon_steps=STEPS))
        assert (again.attempt, again.checkpoint) == (2, str(ROOT / "saved"))
        again.report(0, {"loss": 0.5})


TWO_WORKERS = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'


@pytest.mark.parametrize(
    ("variables", "arguments", "said"),
    [({"WORLD_SIZE": "2"}, "", "WORLD_SIZE: is above 1"),
     ({"WORLD_SIZE": "2", "RANK": "0"}, "", "leads_all_ranks=True"),
     ({"WORLD_SIZE": "4", "RANK": "3"}, ", leads_all_ranks=True", "RANK: is not 0"),
     ({"WORLD_SIZE": "2", "RANK": "0"}, ", leads_all_ranks=True", ""),
     ({"KERAS_DISTRIBUTION_NUM_PROCESSES": "2"}, "", "KERAS_DISTRIBUTION_NUM_PROCESSES: is above 1"),
     ({"TF_CONFIG": TWO_WORKERS}, "", "TF_CONFIG: is above 1"),
     ({"TF_CONFIG": TWO_WORKERS}, ", leads_all_ranks=True", "TF_CONFIG: is not 0"),
     ({"TF_CONFIG": TWO_WORKERS.replace('"index": 1', '"index": 0')}, ", leads_all_ranks=True", ""),
     ({"TF_CONFIG": "no JSON"}, "", ""),
     ({"WORLD_SIZE": "1"}, "", "")],
)  # fmt: skip
def test_several_ranks_are_refused_unless_one_asks_for_all(
    url: str, variables: dict[str, str], arguments: str, said: str
) -> None:
    program = f"from lehr.script import ScriptClient; ScriptClient({url!r}{arguments}).close()"
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode != 0, said in done.stderr) == (bool(said), True), done.stderr

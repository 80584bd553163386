"""The callbacks in less plain trainings than the examples: groups, odd lengths, second evaluations."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lehr.client import Client
from lehr.errors import InvalidValueError
from lehr.script import ScriptClient, ScriptTrial
from lehr.script.frameworks import Groups, require_one_process
from tests.unit.script.test_frameworks import example

os.environ.setdefault("KERAS_BACKEND", "torch")


@pytest.fixture(autouse=True)
def frameworks_may_warn() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def run(url: str, module: Any, name: str, horizon: int, metric: str | None = None) -> str:
    objective = module.STUDY["objective"] | ({} if metric is None else {"metric": metric})
    study = module.STUDY | {"name": name, "objective": objective, "budget": {"trials": 1}, "warm_start": "off"}
    with ScriptClient(url) as scripts:
        for trial in scripts.trials(study, horizon_steps=horizon):
            module.train(trial)
            trial.end()
    return trial.study_id


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_parameter_groups_keep_the_ratios_of_their_rates(kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(3)]
    rates = [0.01, torch.tensor(0.1), 0.05]
    optimizer = kind([{"params": [each], "lr": rate} for each, rate in zip(parameters, rates, strict=True)])
    groups = Groups(optimizer)
    for rate in (1.0, 0.0, 0.3):
        groups.set(rate, 0.85)
        assert groups.rates() == pytest.approx([0.1 * rate, rate, 0.5 * rate])
    assert "keep the ratios of their rates: 0.1, 1, 0.5 times" in caplog.text
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 7.0})
    groups.set(0.2, None)
    assert groups.rates()[3] == 7.0
    # What is saved in the middle of a training tells the ratios as well.
    again = kind([{"params": [each], "lr": 1.0} for each in parameters])
    saved = optimizer.state_dict()
    saved["param_groups"].pop()
    again.load_state_dict(saved)
    assert Groups(again)._ratios == pytest.approx([0.1, 1.0, 0.5])


def test_groups_of_one_rate_have_the_schedules_to_the_last_bit(caplog: pytest.LogCaptureFixture) -> None:
    optimizer = torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(2)], lr=0.3)
    groups = Groups(optimizer)
    groups.set(1 / 3, None)
    assert groups.rates() == [1 / 3, 1 / 3]
    assert "ratios" not in caplog.text


def test_a_training_in_several_processes_is_refused() -> None:
    require_one_process(1)
    with pytest.raises(InvalidValueError, match="would train with different rates"):
        require_one_process(2)


@pytest.mark.parametrize("horizon", [13, 19, 21, 3])
@pytest.mark.parametrize("options", [{}, {"val_check_interval": 2}])
def test_lightning_validates_the_last_step_in_the_middle_of_an_epoch(
    url: str, client: Client, monkeypatch: pytest.MonkeyPatch, horizon: int, options: dict[str, Any]
) -> None:
    module = example("lightning")
    monkeypatch.setattr(module, "Trainer", partial(module.Trainer, **options))
    study = run(url, module, f"lightning-{horizon}-{options}", horizon)
    curve = client.curve(study, 0)
    assert curve.step[-1] == horizon - 1
    assert client.trial(study, 0).value == curve.metrics["val_loss"][-1]


@pytest.mark.parametrize("options", [{"check_val_every_n_epoch": 3}, {"min_epochs": 5, "val_check_interval": 3}])
def test_lightning_refuses_an_old_value_where_the_last_step_is_not_validated(
    url: str, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    module = example("lightning")
    monkeypatch.setattr(module, "Trainer", partial(module.Trainer, **options))
    with pytest.raises(InvalidValueError, match="the last step: was not validated"):
        run(url, module, f"lightning-{options}", 19)


def test_a_validation_after_the_training_adds_to_the_last_report_and_replaces_nothing(
    url: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = example("lightning")

    fit = module.Trainer.fit

    def fit_and_validate(self: Any, model: Any, batches: Any, judged: Any, **keywords: Any) -> None:
        fit(self, model, batches, judged, **keywords)
        torch.nn.init.zeros_(model.layer.weight)
        self.validate(model, judged, verbose=False)

    monkeypatch.setattr(module.Trainer, "fit", fit_and_validate)
    study = run(url, module, "lightning-again", 20)
    assert client.trial(study, 0).state == "COMPLETED"
    assert (client.trial(study, 0).value or 9) < 1.0, "zero weights have ln 3"


def override(module: Any, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    original = module.TrainingArguments
    monkeypatch.setattr(module, "TrainingArguments", lambda **keywords: original(**keywords | options))


@pytest.mark.parametrize(
    "options", [{"eval_steps": 5}, {"eval_steps": 100}, {"eval_strategy": "epoch"}, {"eval_delay": 50}], ids=str
)
def test_the_trainer_evaluates_the_last_step(
    url: str, client: Client, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    module = example("transformers")
    override(module, monkeypatch, options)
    study = run(url, module, f"trainer-{options}", 13)
    curve = client.curve(study, 0)
    assert curve.step[-1] == 12
    assert len(curve.step) == len(set(curve.step))
    assert client.trial(study, 0).value == curve.metrics["eval_loss"][-1]


def test_the_trainer_reports_each_of_several_evaluation_sets(
    url: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = example("transformers")

    def trainer(*arguments: Any, eval_dataset: Any, **keywords: Any) -> Any:
        return module.Trainer_(*arguments, eval_dataset={"a": eval_dataset, "b": eval_dataset[:4]}, **keywords)

    module.Trainer_ = module.Trainer
    monkeypatch.setattr(module, "Trainer", trainer)
    study = run(url, module, "trainer-sets", 12, "eval_b_loss")
    curve = client.curve(study, 0)
    assert None not in [*curve.metrics["eval_a_loss"], *curve.metrics["eval_b_loss"]]
    assert client.trial(study, 0).value == curve.metrics["eval_b_loss"][-1]


def test_a_trainer_that_never_evaluates_reports_its_training_loss(
    url: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = example("transformers")
    options = {"eval_strategy": "no", "eval_steps": None, "logging_steps": 5}
    override(module, monkeypatch, options)
    study = run(url, module, "trainer-train-loss", 12, "train_loss")
    curve = client.curve(study, 0)
    assert curve.step == [4, 9, 11]
    assert curve.metrics["train_loss"] == curve.train_loss
    assert client.trial(study, 0).value == curve.train_loss[-1]


def test_keras_has_its_training_loss_as_objective(url: str, client: Client) -> None:
    study = run(url, example("keras"), "keras-loss", 20, "loss")
    curve = client.curve(study, 0)
    assert client.trial(study, 0).value == curve.metrics["loss"][-1] == curve.train_loss[-1]


@pytest.mark.parametrize("kind", ["schedule", "function"])
def test_keras_refuses_a_rate_that_cannot_be_set(kind: str) -> None:
    import keras

    from lehr.keras import TrialCallback

    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    trial: Any = SimpleNamespace(horizon_steps=9, momentum=lambda _: None)
    callback = TrialCallback(trial)
    callback.set_params({"epochs": 3, "steps": 3})
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(schedule if kind == "schedule" else lambda: 0.1), loss="mse")
    callback.set_model(model)
    with pytest.raises(InvalidValueError, match=r"SGD\(learning_rate=0\.1\)"):
        callback.on_train_begin()


@pytest.mark.parametrize(
    ("variable", "value", "processes"),
    [
        ("WORLD_SIZE", "2", 2),
        ("KERAS_DISTRIBUTION_NUM_PROCESSES", "4", 4),
        (
            "TF_CONFIG",
            '{"cluster": {"worker": ["a:1", "b:1"], "ps": ["c:1"]}, "task": {"type": "worker", "index": 0}}',
            2,
        ),
        ("TF_CONFIG", '{"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}}', 3),
    ],
)
def test_keras_refuses_to_train_in_several_processes(
    variable: str, value: str, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lehr.keras import TrialCallback

    trial: Any = SimpleNamespace(horizon_steps=9, momentum=lambda _: None)
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidValueError, match=f"allowed: 1 process; got {processes}"):
        TrialCallback(trial).on_train_begin()


def attempt(scripts: ScriptClient, study: Any, module: Any, horizon: int, *, until: int | None = None) -> ScriptTrial:
    """Train, or as far as this step and give the trial back."""
    trial = next(scripts.trials(study, horizon_steps=horizon))
    with pytest.MonkeyPatch.context() as patched:
        if until is not None:
            stopped = property(lambda self: self._ended or self.reported_step >= until)
            patched.setattr(ScriptTrial, "should_stop", stopped)
        module.train(trial)
    trial.end(None if until is None else KeyboardInterrupt())
    return trial


@pytest.mark.parametrize(("framework", "call"), [("lightning", "fit"), ("transformers", "train")])
def test_a_training_that_begins_anew_beside_a_checkpoint_says_so_once(
    framework: str,
    call: str,
    url: str,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    module, (horizon, until) = example(framework), {"lightning": (20, 10), "transformers": (12, 7)}[framework]
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    study = client.create_study(module.STUDY | {"name": f"anew-{framework}", "budget": {"trials": 1}})
    original = getattr(module.Trainer, call)

    def without_checkpoint(self: Any, *arguments: Any, **keywords: Any) -> Any:
        """As a script calls it that knows of no resuming."""
        keywords.pop("ckpt_path", None)
        keywords.pop("resume_from_checkpoint", None)
        return original(self, *arguments, **keywords)

    monkeypatch.setattr(module.Trainer, call, without_checkpoint)
    with ScriptClient(url) as scripts:
        attempt(scripts, study, module, horizon, until=until)
    with ScriptClient(url) as scripts:
        assert attempt(scripts, study, module, horizon).checkpoint is not None
    said = [record.getMessage() for record in caplog.records if "starts from scratch" in record.getMessage()]
    assert len(said) == 1
    assert said[0].endswith("=callback.checkpoint)")
    assert client.trial(study.study_id, 0).state == "COMPLETED"


@pytest.mark.parametrize("framework", ["lightning", "keras"])
def test_checkpoints_are_kept_for_another_attempt_and_deleted_with_the_result(
    framework: str, url: str, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = example(framework)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    (tmp_path / "of-the-user.ckpt").touch()
    study = client.create_study(module.STUDY | {"name": f"kept-{framework}", "budget": {"trials": 1}})

    def files() -> set[str]:
        return {path.name for path in tmp_path.iterdir()} - {"of-the-user.ckpt"}

    with ScriptClient(url) as scripts:
        attempt(scripts, study, module, 20, until=10)
    assert files()
    with ScriptClient(url) as scripts:
        attempt(scripts, study, module, 20)
    assert client.trial(study.study_id, 0).state == "COMPLETED"
    assert client.trial(study.study_id, 0).attempt == 2
    assert files() == set()
    assert (tmp_path / "of-the-user.ckpt").exists()

"""The examples for each framework train with exactly the rates of their schedules, step by step."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from torch.optim.optimizer import register_optimizer_step_pre_hook

from lehr.client import Client
from lehr.errors import InvalidValueError
from lehr.schedules import Schedule
from lehr.script import ScriptClient, ScriptTrial
from lehr.wire.trials import Trial
from tests.architecture.sources import ROOT

os.environ.setdefault("KERAS_BACKEND", "torch")

Seen = list[tuple[float, float]]
"""Rate and momentum (or first beta) of each step that an optimizer took."""
CYCLED = {"family": "one_cycle", "start_lr": 0.01, "peak_lr": 0.1, "end_lr": 0.001,
          "base_momentum": 0.8, "max_momentum": 0.95}  # fmt: skip
FRAMEWORKS = ("script", "transformers", "lightning", "keras")
HORIZONS = {"script": 60, "transformers": 12, "lightning": 20, "keras": 20}
FLOAT32 = 2.0**-23


@pytest.fixture(autouse=True)
def frameworks_may_warn() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def example(framework: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"own_{framework}", ROOT / "examples" / f"own_{framework}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def watching(framework: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """What the optimizers themselves have when they take a step."""
    seen: Seen = []
    if framework == "keras":
        import keras

        apply: Callable[..., Any] = keras.optimizers.SGD.apply

        def watched(self: Any, *arguments: Any, **keywords: Any) -> Any:
            seen.append((float(self.learning_rate), self.momentum))
            return apply(self, *arguments, **keywords)

        with monkeypatch.context() as patched:
            patched.setattr(keras.optimizers.SGD, "apply", watched)
            yield seen
        return

    def look(optimizer: Any, _arguments: Any, _keywords: Any) -> None:
        (group, *others) = optimizer.param_groups
        assert all(other["lr"] == group["lr"] for other in others)
        seen.append((float(group["lr"]), group["betas"][0] if "betas" in group else group["momentum"]))

    hook = register_optimizer_step_pre_hook(look)
    yield seen
    hook.remove()


def expected(trials: list[Trial], horizon: int) -> list[float]:
    return [trial.schedule.lr(step, horizon) for trial in trials for step in range(horizon)]


def tolerance(framework: str) -> float:
    return FLOAT32 if framework == "keras" else 0.0


def test_an_example_trains_its_study_with_the_rates_of_the_schedules(
    framework: str, url: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = example(framework)
    monkeypatch.setattr(sys, "argv", ["example", url])
    with watching(framework, monkeypatch) as seen:
        module.main()
    (study,) = [each for each in client.studies() if each.name == module.STUDY["name"]]
    assert study.state == "COMPLETED"
    trials = sorted(client.trials(study.study_id), key=lambda trial: trial.number)
    assert {trial.state for trial in trials} == {"COMPLETED"}, [trial.error for trial in trials]
    horizon = HORIZONS[framework]
    rates = [rate for rate, _ in seen]
    assert rates == pytest.approx(expected(trials, horizon), rel=tolerance(framework), abs=0.0)
    for trial in trials:
        curve = client.curve(study.study_id, trial.number)
        assert curve.step[-1] == horizon - 1
        assert len(curve.step) >= 3
        assert None not in curve.train_loss
        assert module.STUDY["objective"]["metric"] in curve.metrics


def test_momentum_is_cycled_in_every_framework(
    framework: str, url: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, horizon = example(framework), HORIZONS[framework]
    # A warm start from the studies of other tests would come before what is enqueued.
    study = client.create_study(module.STUDY | {"name": f"cycled-{framework}", "warm_start": "off"})
    client.enqueue(study.study_id, CYCLED)
    with watching(framework, monkeypatch) as seen, ScriptClient(url) as scripts:
        trial = next(scripts.trials(study, horizon_steps=horizon))
        module.train(trial)
    schedule: Schedule = trial.schedule
    assert schedule.to_dict()["family"] == "one_cycle"
    assert [momentum for _, momentum in seen] == [schedule.momentum(step, horizon) for step in range(horizon)]


def test_a_training_stops_soon_after_its_trial_should(
    framework: str, url: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, horizon = example(framework), HORIZONS[framework]
    study = client.create_study(module.STUDY | {"name": f"stopped-{framework}"})
    with watching(framework, monkeypatch) as seen, ScriptClient(url) as scripts:
        trial = next(scripts.trials(study, horizon_steps=horizon))
        with monkeypatch.context() as patched:
            patched.setattr(ScriptTrial, "should_stop", property(lambda _: len(seen) >= 5))
            module.train(trial)
    # The plain loop looks where it reports, every ten steps; the callbacks look at every step.
    assert len(seen) == (10 if framework == "script" else 5)


@pytest.mark.parametrize(
    ("framework", "name", "option"),
    [("transformers", "TrainingArguments", "gradient_accumulation_steps"),
     ("lightning", "Trainer", "accumulate_grad_batches")],
)  # fmt: skip
def test_steps_are_those_of_the_optimizer_where_gradients_are_accumulated(
    url: str, client: Client, monkeypatch: pytest.MonkeyPatch, framework: str, name: str, option: str
) -> None:
    module, horizon = example(framework), HORIZONS[framework]
    monkeypatch.setattr(module, name, partial(getattr(module, name), **{option: 2}))
    study = client.create_study(module.STUDY | {"name": f"accumulated-{framework}", "space": {"families": ["cosine"]}})
    with watching(framework, monkeypatch) as seen, ScriptClient(url) as scripts:
        trial = next(scripts.trials(study, horizon_steps=horizon))
        module.train(trial)
    assert [rate for rate, _ in seen] == [trial.lr(step) for step in range(horizon)]


def test_the_trainer_logs_the_rate_that_it_trains_with(
    url: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    logged: dict[int, float] = {}
    log = transformers.Trainer.log

    def watched(self: Any, logs: dict[str, float], *arguments: Any, **keywords: Any) -> None:
        if "learning_rate" in logs:
            logged[self.state.global_step - 1] = logs["learning_rate"]
        log(self, logs, *arguments, **keywords)

    monkeypatch.setattr(transformers.Trainer, "log", watched)
    module = example("transformers")
    study = client.create_study(module.STUDY | {"name": "logged"})
    with ScriptClient(url) as scripts:
        trial = next(scripts.trials(study, horizon_steps=12))
        module.train(trial)
    assert logged == {step: trial.lr(step) for step in (3, 7, 11)}


def test_keras_trains_with_the_rates_in_a_compiled_step_of_jax() -> None:
    # Each step's gradient is 1, so the weight tells the rates that were really taken.
    program = """
import keras
from types import SimpleNamespace
from lehr.keras import TrialCallback
from lehr.schedules import Cosine

schedule, weights = Cosine(start_lr=0.1, end_lr=0.001), []
trial = SimpleNamespace(
    horizon_steps=12, should_stop=False, report=lambda *_, **__: None,
    lr=lambda step: schedule.lr(step, 12), momentum=lambda step: None,
)
class Watch(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        weights.append(float(self.model.get_weights()[0][0, 0]))

model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
model.compile(optimizer=keras.optimizers.SGD(7.0), loss=lambda truth, predicted: keras.ops.mean(predicted))
ones = keras.ops.ones((4, 1))
model.fit(ones, ones, batch_size=1, epochs=3, callbacks=[TrialCallback(trial), Watch()], verbose=0)
assert not model.run_eagerly and model.jit_compile
for step, (before, after) in enumerate(zip([0.0, *weights], weights)):
    assert abs(before - after - schedule.lr(step, 12)) < 1e-6, (step, before - after)
assert len(weights) == 12
"""
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=120)


def test_a_training_of_another_length_is_refused_before_its_first_step() -> None:
    from lehr.keras import TrialCallback as ForKeras
    from lehr.lightning import TrialCallback as ForLightning
    from lehr.transformers import TrialCallback as ForTransformers

    trial: Any = SimpleNamespace(horizon_steps=10, momentum=lambda _: None)
    anything: Any = None
    with pytest.raises(InvalidValueError, match="10 steps, the trial's horizon; got 9"):
        ForTransformers(trial).on_train_begin(anything, SimpleNamespace(max_steps=9), anything)
    lightning: Any = SimpleNamespace(optimizers=[1], estimated_stepping_batches=float("inf"))
    with pytest.raises(InvalidValueError, match=r"max_steps=trial\.horizon_steps"):
        ForLightning(trial).on_train_start(lightning, anything)
    two: Any = SimpleNamespace(optimizers=[1, 2])
    with pytest.raises(InvalidValueError, match="must be a single one"):
        ForLightning(trial).on_train_start(two, anything)
    callback = ForKeras(trial)
    callback.set_params({"epochs": 3, "steps": 3})
    with pytest.raises(InvalidValueError, match="got 9"):
        callback.on_train_begin()


def test_keras_refuses_what_it_cannot_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    from lehr.keras import TrialCallback

    def begin(momentum: float, **settings: Any) -> None:
        trial: Any = SimpleNamespace(horizon_steps=9, momentum=lambda _: 0.9)
        callback = TrialCallback(trial)
        callback.set_params({"epochs": 3, "steps": 3})
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=momentum), loss="mse", **settings)
        callback.set_model(model)
        callback.on_train_begin()

    begin(0.9)
    with pytest.raises(InvalidValueError, match="no momentum to cycle"):
        begin(0.0)
    with pytest.raises(InvalidValueError, match="does not take one step for each batch"):
        begin(0.9, steps_per_execution=2)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InvalidValueError, match="run_eagerly=True"):
        begin(0.9)
    begin(0.9, run_eagerly=True)

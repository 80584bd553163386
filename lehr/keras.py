"""A trial in Keras: `model.fit(..., callbacks=[TrialCallback(trial)])`.

Imports keras, and is imported by nothing else of lehr.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import keras

from lehr.errors import Fault, InvalidValueError
from lehr.script.frameworks import kept_at, numbers, remove, require_horizon, require_one_process
from lehr.script.ranks import launch
from lehr.script.trial import ScriptTrial

HORIZON = "Let epochs times steps_per_epoch be trial.horizon_steps."
SUFFIX = ".weights.h5"


class TrialCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Trains with the trial's rates, reports each epoch, and stops the fit where the trial should.

    It sets the rate before each batch (Keras keeps it in 32 bits) and, where the schedule cycles it, the momentum or
    `beta_1`. An optimizer whose rate is a LearningRateSchedule is refused. Metrics have Keras' names: `val_loss`,
    `accuracy`, …; `loss` is the training loss.

    `folder`: where to save weights and optimizer after each epoch. To go on from what a lost attempt left there, train
    with `model.fit(..., initial_epoch=callback.initial_epoch)`. Each epoch then begins with random numbers of its own,
    so that a resumed training equals one that was never interrupted. The files are deleted once the trial has its
    result. A training in several processes is refused.
    """

    def __init__(self, trial: ScriptTrial, folder: str | os.PathLike[str] | None = None) -> None:
        super().__init__()
        self._trial = trial
        self._folder = None if folder is None else Path(folder).absolute()
        self._resumed = None if folder is None else kept_at(trial)
        self._stem = f"{trial.study_id}-{trial.number}" if self._folder else ""
        self._step = 0
        if self._folder is not None:
            trial.at_end(partial(remove, self._folder, f"{self._stem}-*{SUFFIX}"))

    @property
    def initial_epoch(self) -> int:
        """How many epochs an earlier attempt has done, whose checkpoint is here; else 0."""
        return 0 if self._resumed is None else int(Path(self._resumed).name.removesuffix(SUFFIX).rsplit("-", 1)[1])

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        require_one_process(launch().processes)
        if self.params.get("steps") is not None:
            require_horizon(self._trial, self.params["epochs"] * self.params["steps"], HORIZON)
        if self.model.steps_per_execution != 1 or self.model.optimizer.gradient_accumulation_steps:
            raise _refuse("batches are not steps of the optimizer", "one step a batch", "Leave both settings out.")
        if self._trial.momentum(0) is not None:
            self._require_momentum()
        self._require_settable_rate()
        if self._resumed is not None:
            self._load(self._resumed)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._folder is None:
            return
        if self._step == 0 and epoch != self.initial_epoch:
            remedy = "Give fit initial_epoch=callback.initial_epoch."
            fault = Fault("initial_epoch", "is not that of the checkpoint", str(self.initial_epoch), epoch, remedy)
            raise InvalidValueError(fault)
        if self._step == 0 and epoch:
            self._step = epoch * self.params["steps"]
        keras.utils.set_random_seed((self._trial.seed + epoch) % 2**32)

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        optimizer = self.model.optimizer
        if hasattr(self.model, "jax_state_sync"):
            # JAX trains on a copy of the variables: let it begin anew from what is set here.
            self.model.jax_state_sync()
        optimizer.learning_rate = self._trial.lr(self._step)
        momentum = self._trial.momentum(self._step)
        if momentum is not None:
            setattr(optimizer, _momentum_name(optimizer), momentum)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._step += 1
        if self._trial.should_stop:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        metrics = numbers(logs or {})
        if not self._trial.should_stop:
            self._trial.report(self._step - 1, metrics, train_loss=(logs or {}).get("loss"), epoch=epoch + 1)
        # Nothing is left to evaluate after the last epoch: who resumes from there would have no value.
        if self._folder is not None and self._step < self._trial.horizon_steps and not self._trial.should_stop:
            self._save(self._folder, epoch + 1)

    def _save(self, folder: Path, epochs: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path, unfinished = folder / f"{self._stem}-{epochs}{SUFFIX}", folder / f"{self._stem}-new{SUFFIX}"
        self.model.save_weights(unfinished, overwrite=True)
        unfinished.replace(path)
        self._trial.saved(path)
        # The server may still name the last but one.
        (folder / f"{self._stem}-{epochs - 2}{SUFFIX}").unlink(missing_ok=True)

    def _load(self, path: str) -> None:
        if not self.model.built:
            remedy = "Build it, or give it a keras.Input, before fit."
            raise _refuse("a checkpoint cannot be loaded into a model that is not built", "a built model", remedy)
        self.model.optimizer.build(self.model.trainable_variables)
        self.model.load_weights(path)

    def _require_settable_rate(self) -> None:
        optimizer = self.model.optimizer
        try:
            optimizer.learning_rate = float(optimizer.learning_rate)
        except (TypeError, AttributeError):
            remedy = "Give the optimizer a number, such as SGD(learning_rate=0.1): the trial's rates replace it."
            bound = "a number"
            raise _refuse(
                "its rate is a LearningRateSchedule or a function, which cannot be set", bound, remedy
            ) from None

    def _require_momentum(self) -> None:
        if not getattr(self.model.optimizer, _momentum_name(self.model.optimizer), 0.0):
            raise _refuse("it has no momentum to cycle", "SGD(momentum=0.9), Adam, …", "Give it momentum.")
        if keras.backend.backend() != "torch" and not self.model.run_eagerly:
            # A compiled step has the momentum of its first call for ever.
            remedy = "Compile the model with run_eagerly=True, or leave the family one_cycle out of the space."
            raise _refuse("its momentum cannot change in a compiled step", "the torch backend, or eager steps", remedy)


def _momentum_name(optimizer: Any) -> str:
    return "beta_1" if hasattr(optimizer, "beta_1") else "momentum"


def _refuse(message: str, bound: str, remedy: str) -> InvalidValueError:
    return InvalidValueError(Fault("optimizer", message, bound, keras.backend.backend(), remedy))

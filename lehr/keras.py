"""A Keras callback that runs a trial: `model.fit(..., callbacks=[TrialCallback(trial)])`.

Imports keras; no other module of lehr imports this one.
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

HORIZON = "Set epochs and steps_per_epoch so that their product is trial.horizon_steps."
SUFFIX = ".weights.h5"


class TrialCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Trains with the trial's rates, reports after each epoch, and stops the fit when the trial should stop.

    It sets the rate before each batch (Keras stores it in 32 bits) and, if the schedule cycles it, the momentum or
    `beta_1`. An optimizer whose rate is a LearningRateSchedule is rejected. Metrics have Keras' names: `val_loss`,
    `accuracy`, …; `loss` is the training loss.

    `folder`: where to save weights and optimizer state after each epoch. To resume after a lost attempt, train with
    `model.fit(..., initial_epoch=callback.initial_epoch)`. Each epoch is then seeded separately, so that a resumed
    training equals an uninterrupted one. The files are deleted once the trial has its result. Distributed training is
    rejected.
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
        """The number of epochs in the checkpoint of an earlier attempt; 0 if there is none on this machine."""
        return 0 if self._resumed is None else int(Path(self._resumed).name.removesuffix(SUFFIX).rsplit("-", 1)[1])

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        require_one_process(launch().processes)
        if self.params.get("steps") is not None:
            require_horizon(self._trial, self.params["epochs"] * self.params["steps"], HORIZON)
        if self.model.steps_per_execution != 1 or self.model.optimizer.gradient_accumulation_steps:
            remedy = "Remove steps_per_execution and gradient_accumulation_steps."
            raise _refuse("does not take one step for each batch", "one step per batch", remedy)
        if self._trial.momentum(0) is not None:
            self._require_momentum()
        self._require_settable_rate()
        if self._resumed is not None:
            self._load(self._resumed)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._folder is None:
            return
        if self._step == 0 and epoch != self.initial_epoch:
            remedy = "Call fit with initial_epoch=callback.initial_epoch."
            fault = Fault("initial_epoch", "is not that of the checkpoint", str(self.initial_epoch), epoch, remedy)
            raise InvalidValueError(fault)
        if self._step == 0 and epoch:
            self._step = epoch * self.params["steps"]
        keras.utils.set_random_seed((self._trial.seed + epoch) % 2**32)

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        optimizer = self.model.optimizer
        if hasattr(self.model, "jax_state_sync"):
            # JAX trains on a copy of the variables; this makes it reload the values set here.
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
        # Not after the last epoch: a training resumed from there would have nothing left to evaluate, and no value.
        if self._folder is not None and self._step < self._trial.horizon_steps and not self._trial.should_stop:
            self._save(self._folder, epoch + 1)

    def _save(self, folder: Path, epochs: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path, unfinished = folder / f"{self._stem}-{epochs}{SUFFIX}", folder / f"{self._stem}-new{SUFFIX}"
        self.model.save_weights(unfinished, overwrite=True)
        unfinished.replace(path)
        self._trial.saved(path)
        # The previous checkpoint is kept, since the server may still refer to it.
        (folder / f"{self._stem}-{epochs - 2}{SUFFIX}").unlink(missing_ok=True)

    def _load(self, path: str) -> None:
        if not self.model.built:
            remedy = "Call model.build, or add a keras.Input, before fit."
            raise _refuse("cannot load a checkpoint, since the model is not built", "a built model", remedy)
        self.model.optimizer.build(self.model.trainable_variables)
        self.model.load_weights(path)

    def _require_settable_rate(self) -> None:
        optimizer = self.model.optimizer
        try:
            optimizer.learning_rate = float(optimizer.learning_rate)
        except (TypeError, AttributeError):
            remedy = "Use a number, such as SGD(learning_rate=0.1); the trial's rates replace it."
            message = "has a LearningRateSchedule or a function as its rate, which cannot be set"
            raise _refuse(message, "a number as the rate", remedy) from None

    def _require_momentum(self) -> None:
        if not getattr(self.model.optimizer, _momentum_name(self.model.optimizer), 0.0):
            remedy = "Use an optimizer with momentum."
            raise _refuse("has no momentum to cycle", "SGD(momentum=0.9), Adam, …", remedy)
        if keras.backend.backend() != "torch" and not self.model.run_eagerly:
            # A compiled step keeps the momentum of its first call.
            remedy = "Compile the model with run_eagerly=True, or remove the family one_cycle from the space."
            message = "cannot change its momentum in a compiled step"
            raise _refuse(message, "the torch backend, or eager execution", remedy)


def _momentum_name(optimizer: Any) -> str:
    return "beta_1" if hasattr(optimizer, "beta_1") else "momentum"


def _refuse(message: str, bound: str, remedy: str) -> InvalidValueError:
    return InvalidValueError(Fault("optimizer", message, bound, keras.backend.backend(), remedy))

"""A trial in Keras: `model.fit(..., callbacks=[TrialCallback(trial)])`.

Imports keras, and is imported by nothing else of lehr.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from lehr.errors import Fault, InvalidValueError
from lehr.script.frameworks import numbers, require_horizon
from lehr.script.trial import ScriptTrial

HORIZON = "Let epochs times steps_per_epoch be trial.horizon_steps."


class TrialCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Trains with the trial's rates, reports each epoch, and stops the fit where the trial should.

    It sets the rate before each batch (Keras keeps it in 32 bits) and, where the schedule cycles it, the momentum or
    `beta_1`. Metrics have Keras' names: `val_loss`, `accuracy`, …; `loss` is the training loss.
    """

    def __init__(self, trial: ScriptTrial) -> None:
        super().__init__()
        self._trial = trial
        self._step = 0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        if self.params.get("steps") is not None:
            require_horizon(self._trial, self.params["epochs"] * self.params["steps"], HORIZON)
        if self.model.steps_per_execution != 1 or self.model.optimizer.gradient_accumulation_steps:
            raise _refuse("batches are not steps of the optimizer", "one step a batch", "Leave both settings out.")
        if self._trial.momentum(0) is not None:
            self._require_momentum()

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
        metrics = numbers(logs or {}, besides=["loss"])
        if not self._trial.should_stop:
            self._trial.report(self._step - 1, metrics, train_loss=(logs or {}).get("loss"), epoch=epoch + 1)

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

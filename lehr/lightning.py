"""A trial in Lightning's Trainer: `Trainer(..., callbacks=[TrialCallback(trial)])`.

Imports lightning, and is imported by nothing else of lehr.
"""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lehr.errors import Fault, InvalidValueError
from lehr.script.frameworks import numbers, require_horizon, set_rates
from lehr.script.trial import ScriptTrial

TRAIN_LOSS = "train_loss"
REMEDY = "Give the Trainer max_steps=trial.horizon_steps, and max_epochs=-1 unless they are enough."


class TrialCallback(Callback):
    """Trains with the trial's rates, reports validations (or epochs where there are none), and stops where it should.

    It sets the rate, and the momentum or first beta where the schedule cycles it, before each batch; a scheduler of
    `configure_optimizers` has no say. Metrics are those that the module logs; `train_loss` is taken for the training's.
    """

    def __init__(self, trial: ScriptTrial) -> None:
        self._trial = trial

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if len(trainer.optimizers) != 1:
            remedy = "Set the rates in the module, with trial.lr(step)."
            raise InvalidValueError(
                Fault("optimizers", "one rate is for one optimizer", "1 optimizer", len(trainer.optimizers), remedy)
            )
        require_horizon(self._trial, trainer.estimated_stepping_batches, REMEDY)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        step = trainer.global_step
        set_rates(trainer.optimizers[0], self._trial.lr(step), self._trial.momentum(step))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._trial.should_stop:
            trainer.should_stop = True

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking and trainer.global_step:
            self._report(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.enable_validation:
            self._report(trainer)

    def _report(self, trainer: Trainer) -> None:
        if self._trial.should_stop:
            return
        metrics = numbers(trainer.callback_metrics)
        loss = metrics.pop(TRAIN_LOSS, None)
        self._trial.report(trainer.global_step - 1, metrics, train_loss=loss)

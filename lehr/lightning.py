"""A Lightning callback that runs a trial: `Trainer(..., callbacks=[TrialCallback(trial)])`.

Imports lightning; no other module of lehr imports this one.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.seed import _collect_rng_states, _set_rng_states
from lightning.pytorch import Callback, LightningModule, Trainer

from lehr.errors import Fault, InvalidValueError
from lehr.script.frameworks import (
    Groups,
    kept_at,
    numbers,
    remove,
    report,
    require_horizon,
    require_one_process,
    warn_of_a_checkpoint,
)
from lehr.script.trial import ScriptTrial

TRAIN_LOSS = "train_loss"
REMEDY = "Create the Trainer with max_steps=trial.horizon_steps and max_epochs=-1."
SUFFIX = ".ckpt"

log = logging.getLogger("lehr.script")


class TrialCallback(Callback):
    """Trains with the trial's rates, reports after each validation (or epoch, without validation), and stops when the
    trial should stop.

    It sets the rate, and the momentum or first beta if the schedule cycles it, before each batch; a scheduler from
    `configure_optimizers` has no effect. Parameter groups keep the ratios of their rates. Metrics are those that the
    module logs; `train_loss` is used as the training loss. The last step is always validated.

    `folder`: where to save the training after each epoch. To resume after a lost attempt, train with
    `trainer.fit(..., ckpt_path=callback.checkpoint)`; the random state is restored as well. The file is deleted once
    the trial has its result.
    """

    def __init__(self, trial: ScriptTrial, folder: str | os.PathLike[str] | None = None) -> None:
        self._trial = trial
        self._folder = None if folder is None else Path(folder).absolute()
        self._groups: Groups | None = None
        self._random: dict[str, Any] | None = None
        self._stem = f"{trial.study_id}-{trial.number}" if self._folder else ""
        if self._folder is not None:
            trial.at_end(partial(remove, self._folder, f"{self._stem}.*"))

    @property
    def checkpoint(self) -> str | None:
        """The last checkpoint of an earlier attempt; None if there is none on this machine."""
        return kept_at(self._trial)

    def state_dict(self) -> dict[str, Any]:
        """The random state, which the Trainer saves with its checkpoints."""
        states = _collect_rng_states()
        if "numpy" in states:
            # As plain numbers, since a checkpoint with arrays cannot be loaded with weights_only.
            name, keys, *rest = states["numpy"]
            states["numpy"] = (name, keys.tolist(), *rest)
        return {"random": states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._random = state_dict["random"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if len(trainer.optimizers) != 1:
            remedy = "Set the rates in the module, with trial.lr(step)."
            raise InvalidValueError(
                Fault("optimizers", "must be a single one", "1 optimizer", len(trainer.optimizers), remedy)
            )
        require_horizon(self._trial, trainer.estimated_stepping_batches, REMEDY)
        require_one_process(trainer.world_size)
        self._groups = Groups(trainer.optimizers[0])
        if trainer.global_step == 0:
            warn_of_a_checkpoint(self.checkpoint, "trainer.fit(..., ckpt_path=callback.checkpoint)")
        if self._random is not None:
            # Data loaders created before this draw the epoch's order again.
            _set_rng_states(self._random)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        assert self._groups is not None
        step = trainer.global_step
        self._groups.set(self._trial.lr(step), self._trial.momentum(step))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # A Trainer that is asked to stop validates first, even in the middle of an epoch.
        if self._trial.should_stop or trainer.global_step >= self._trial.horizon_steps:
            trainer.should_stop = True

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking and trainer.global_step:
            self._report(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.enable_validation:
            self._report(trainer)
        # Not after the last step: a training resumed from there would have nothing left to validate, and no value.
        if self._folder is not None and trainer.global_step < self._trial.horizon_steps:
            self._save(trainer, self._folder)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        last = trainer.global_step - 1
        if not self._trial.should_stop and self._trial.reported_step < last:
            remedy = "Set check_val_every_n_epoch=1, and no min_epochs beyond the horizon."
            message, bound = "was not validated, so an earlier value would count as the last", f"step {last}"
            raise InvalidValueError(Fault("the last step", message, bound, self._trial.reported_step, remedy))

    def _save(self, trainer: Trainer, folder: Path) -> None:
        if self._trial.should_stop:
            return
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self._stem}{SUFFIX}"
        unfinished = path.with_suffix(".new")
        trainer.save_checkpoint(unfinished)
        unfinished.replace(path)
        self._trial.saved(path)

    def _report(self, trainer: Trainer) -> None:
        metrics = numbers(trainer.callback_metrics)
        report(self._trial, trainer.global_step - 1, metrics, train_loss=metrics.pop(TRAIN_LOSS, None))

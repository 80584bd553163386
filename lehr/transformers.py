"""A callback that runs a trial in the Trainer of transformers: `Trainer(..., callbacks=[TrialCallback(trial)])`.

Imports transformers; no other module of lehr imports this one.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from lehr.script.frameworks import (
    Groups,
    kept_at,
    numbers,
    report,
    require_horizon,
    require_one_process,
    warn_of_a_checkpoint,
)
from lehr.script.trial import ScriptTrial

REMEDY = "Set max_steps=trial.horizon_steps in TrainingArguments."
OWNER = "lehr-trial.txt"
"""The file in a checkpoint that names its trial, since several trials may share an output_dir."""
NEVER = "no"
"""The eval_strategy of a Trainer that does not evaluate."""

log = logging.getLogger("lehr.script")


class TrialCallback(TrainerCallback):
    """Trains with the trial's rates, reports after each evaluation, and stops the Trainer when the trial should stop.

    It sets the rate, and the momentum or first beta if the schedule cycles it, before each optimizer step; the
    Trainer's own scheduler has no effect. Parameter groups keep the ratios of their rates. Metrics have the Trainer's
    names: `eval_loss`, `eval_accuracy`, …. The last step is always evaluated. With `eval_strategy="no"`, it reports the
    logged `loss`.

    Checkpoints saved by the Trainer are recorded with the trial. To resume after a lost attempt, train with
    `trainer.train(resume_from_checkpoint=callback.checkpoint)`, with a separate `output_dir` for each trial.
    """

    def __init__(self, trial: ScriptTrial) -> None:
        self._trial = trial
        self._groups: Groups | None = None

    @property
    def checkpoint(self) -> str | None:
        """The last checkpoint of an earlier attempt; None if there is none on this machine."""
        kept = kept_at(self._trial)
        if kept is None:
            return None
        owner = Path(kept) / OWNER
        if owner.is_file() and owner.read_text() == self._identity():
            return kept
        log.warning("the checkpoint %s was overwritten by another trial: the trial starts from scratch", kept)
        return None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        require_horizon(self._trial, state.max_steps, REMEDY)
        require_one_process(args.world_size)
        self._groups = Groups(kwargs["optimizer"])
        if state.global_step == 0:
            warn_of_a_checkpoint(self.checkpoint, "train(resume_from_checkpoint=callback.checkpoint)")

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        assert self._groups is not None
        self._groups.set(self._trial.lr(state.global_step), self._trial.momentum(state.global_step))

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # The Trainer logs the rate from its own scheduler, which accelerate wraps; this makes it log the actual rates.
        assert self._groups is not None
        scheduler = getattr(kwargs["lr_scheduler"], "scheduler", kwargs["lr_scheduler"])
        scheduler._last_lr = self._groups.rates()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._trial.should_stop:
            control.should_training_stop = True

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # Also called when max_steps ends an epoch early. An evaluation some steps before is not the trial's value.
        is_unreported = self._trial.reported_step < state.global_step - 1
        if state.global_step >= state.max_steps and is_unreported and not self._trial.should_stop:
            control.should_log = True
            control.should_evaluate = args.eval_strategy != NEVER

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        # Not after the last step: a training resumed from there would have nothing left to evaluate, and no value.
        if self._trial.should_stop or args.save_only_model or state.global_step >= state.max_steps:
            return
        folder = Path(args.output_dir or "").absolute() / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
        if folder.is_dir():
            (folder / OWNER).write_text(self._identity())
            self._trial.saved(folder)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if args.eval_strategy == NEVER and logs and "loss" in logs and state.global_step:
            metrics = numbers(logs, besides=["epoch", "learning_rate"])
            self._report(state, metrics)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if state.global_step:
            self._report(state, numbers(metrics or {}, besides=["epoch"]))

    def _report(self, state: TrainerState, metrics: dict[str, float]) -> None:
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        report(
            self._trial,
            state.global_step - 1,
            metrics,
            train_loss=losses[-1] if losses else None,
            epoch=state.epoch,
        )

    def _identity(self) -> str:
        return f"{self._trial.study_id}/{self._trial.number}"

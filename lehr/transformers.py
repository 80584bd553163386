"""A trial in the Trainer of transformers: `Trainer(..., callbacks=[TrialCallback(trial)])`.

Imports transformers, and is imported by nothing else of lehr.
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

REMEDY = "Give TrainingArguments max_steps=trial.horizon_steps."
OWNER = "lehr-trial.txt"
"""The file in a checkpoint that says whose it is: trials may have been given one output_dir."""
NEVER = "no"
"""The eval_strategy of a Trainer that does not evaluate by itself."""

log = logging.getLogger("lehr.script")


class TrialCallback(TrainerCallback):
    """Trains with the trial's rates, reports each evaluation, and stops the Trainer where the trial should.

    It sets the rate, and the momentum or first beta where the schedule cycles it, before each step of the optimizer;
    the Trainer's own scheduler has no say. Parameter groups keep the ratios of their rates. Metrics have the Trainer's
    names: `eval_loss`, `eval_accuracy`, …. The last step is always evaluated. With `eval_strategy="no"` it reports the
    logged `loss`.

    Checkpoints that the Trainer saves are remembered with the trial. To go on from the one that a lost attempt left,
    train with `trainer.train(resume_from_checkpoint=callback.checkpoint)`, in an `output_dir` of each trial's own.
    """

    def __init__(self, trial: ScriptTrial) -> None:
        self._trial = trial
        self._groups: Groups | None = None

    @property
    def checkpoint(self) -> str | None:
        """The last checkpoint of an earlier attempt; None for a first attempt, or where it cannot be read here."""
        kept = kept_at(self._trial)
        if kept is None:
            return None
        owner = Path(kept) / OWNER
        if owner.is_file() and owner.read_text() == self._identity():
            return kept
        log.warning("the checkpoint %s was replaced by another trial's: the trial begins anew", kept)
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
        # The Trainer logs what its own scheduler thinks the rate was; accelerate wraps that scheduler.
        assert self._groups is not None
        scheduler = getattr(kwargs["lr_scheduler"], "scheduler", kwargs["lr_scheduler"])
        scheduler._last_lr = self._groups.rates()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._trial.should_stop:
            control.should_training_stop = True

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # Called where max_steps ends an epoch as well. What was evaluated some steps before is not the trial's value.
        is_unreported = self._trial.reported_step < state.global_step - 1
        if state.global_step >= state.max_steps and is_unreported and not self._trial.should_stop:
            control.should_log = True
            control.should_evaluate = args.eval_strategy != NEVER

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        # Nothing is left to evaluate after the last step: who resumes from there would have no value.
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

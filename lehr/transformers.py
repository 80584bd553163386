"""A trial in the Trainer of transformers: `Trainer(..., callbacks=[TrialCallback(trial)])`.

Imports transformers, and is imported by nothing else of lehr.
"""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lehr.script.frameworks import numbers, require_horizon, set_rates
from lehr.script.trial import ScriptTrial

REMEDY = "Give TrainingArguments max_steps=trial.horizon_steps."


class TrialCallback(TrainerCallback):
    """Trains with the trial's rates, reports each evaluation, and stops the Trainer where the trial should.

    It sets the rate, and the momentum or first beta where the schedule cycles it, before each step of the optimizer;
    the Trainer's own scheduler has no say. Metrics have the Trainer's names: `eval_loss`, `eval_accuracy`, ….
    """

    def __init__(self, trial: ScriptTrial) -> None:
        self._trial = trial

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        require_horizon(self._trial, state.max_steps, REMEDY)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        step = state.global_step
        set_rates(kwargs["optimizer"], self._trial.lr(step), self._trial.momentum(step))

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # The Trainer logs what its own scheduler thinks the rate was; accelerate wraps that scheduler.
        scheduler = getattr(kwargs["lr_scheduler"], "scheduler", kwargs["lr_scheduler"])
        scheduler._last_lr = [self._trial.lr(state.global_step) for _ in kwargs["optimizer"].param_groups]

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._trial.should_stop:
            control.should_training_stop = True

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if state.global_step == 0 or self._trial.should_stop:
            return
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        self._trial.report(
            state.global_step - 1,
            numbers(metrics or {}, besides=["epoch"]),
            train_loss=losses[-1] if losses else None,
            epoch=state.epoch,
        )

"""Helpers shared by the callbacks for Keras, Lightning and transformers."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, SupportsFloat

from lehr.errors import Fault, InvalidValueError
from lehr.schedules.groups import group_ratios, ratios_text, set_momentum, set_rate
from lehr.script.trial import ScriptTrial

log = logging.getLogger("lehr.script")


def require_horizon(trial: ScriptTrial, steps: float, remedy: str) -> None:
    """Raise InvalidValueError unless the framework will train for the trial's horizon."""
    if steps != trial.horizon_steps:
        bound = f"{trial.horizon_steps} steps, the trial's horizon"
        raise InvalidValueError(Fault("steps", "do not match the trial's horizon", bound, steps, remedy))


def require_one_process(processes: int) -> None:
    """Raise InvalidValueError for distributed training, since the other processes have no trial."""
    if processes > 1:
        remedy = "Train on one device, or set the rates yourself: send trial.lr(step) from rank 0 to the other ranks."
        message = "would train with different rates, since only one process has the trial"
        raise InvalidValueError(Fault("processes", message, "1 process", processes, remedy))


class Groups:
    """Sets the rates of a torch optimizer's parameter groups. The group with the highest rate gets the schedule's rate;
    the others keep their ratios to it.
    """

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        # As torch's schedulers do, so that the optimizer's saved state has the initial rate when training resumes.
        rates = [float(group.setdefault("initial_lr", float(group["lr"]))) for group in optimizer.param_groups]
        self._ratios = list(group_ratios(rates))
        if set(self._ratios) != {1.0}:
            log.warning("%s", ratios_text(self._ratios))

    def set(self, lr: float, momentum: float | None) -> None:
        """Set each group's rate and, unless None, its momentum or first beta. Groups added later are not changed."""
        for group, ratio in zip(self._optimizer.param_groups, self._ratios, strict=False):
            set_rate(group, lr * ratio)
            if momentum is not None:
                set_momentum(group, momentum)

    def rates(self) -> list[float]:
        return [float(group["lr"]) for group in self._optimizer.param_groups]


def report(trial: ScriptTrial, step: int, metrics: Mapping[str, float], **other: Any) -> None:
    """Report an evaluation. If the step was already reported, only new metrics are added, since frameworks may evaluate
    again after the training with different weights.
    """
    if trial.should_stop:
        return
    if step > trial.reported_step:
        trial.report(step, metrics, **other)
    elif step == trial.reported_step:
        trial.amend({name: value for name, value in metrics.items() if name not in trial.reported_metrics})


def numbers(metrics: Mapping[str, Any], besides: Iterable[str] = ()) -> dict[str, float]:
    """The metrics that are scalars, as floats."""
    left_out = set(besides)
    return {
        name: float(value)
        for name, value in metrics.items()
        if name not in left_out and isinstance(value, SupportsFloat) and getattr(value, "ndim", 0) == 0
    }


def kept_at(trial: ScriptTrial) -> str | None:
    """The checkpoint of an earlier attempt, if it exists on this machine."""
    if trial.checkpoint is None or os.path.exists(trial.checkpoint):
        return trial.checkpoint
    log.warning("the checkpoint %s does not exist on this machine: the trial starts from scratch", trial.checkpoint)
    return None


def warn_of_a_checkpoint(checkpoint: str | None, call: str) -> None:
    """Warn that a training starts from scratch, although an earlier attempt left a checkpoint for `call`."""
    if checkpoint is not None:
        log.warning(
            "this training starts from scratch, although an earlier attempt left a checkpoint: resume with %s", call
        )


def remove(folder: Path, pattern: str) -> None:
    """Delete the checkpoints of a trial that has its result."""
    for path in folder.glob(pattern):
        path.unlink(missing_ok=True)

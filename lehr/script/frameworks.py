"""What the callbacks for training frameworks share."""

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
    """Raises InvalidValueError unless the framework is about to take as many steps as the trial has."""
    if steps != trial.horizon_steps:
        bound = f"{trial.horizon_steps} steps, the trial's horizon"
        raise InvalidValueError(Fault("steps", "the training has another length", bound, steps, remedy))


def require_one_process(processes: int) -> None:
    """Raises InvalidValueError where other processes take part in the training, which have no trial."""
    if processes > 1:
        remedy = "Train on one device, or set the rates yourself with trial.lr(step), which rank 0 sends to the others."
        message = "the other processes would train with other rates"
        raise InvalidValueError(Fault("processes", message, "1 process", processes, remedy))


class Groups:
    """The parameter groups of a torch optimizer: the highest has the schedule's rate, the others keep their ratios."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        # As torch's schedulers do: the optimizer's saved state then has it for whoever resumes.
        rates = [float(group.setdefault("initial_lr", float(group["lr"]))) for group in optimizer.param_groups]
        self._ratios = list(group_ratios(rates))
        if set(self._ratios) != {1.0}:
            log.warning("%s", ratios_text(self._ratios))

    def set(self, lr: float, momentum: float | None) -> None:
        """Give each group its rate and, unless None, the momentum or first beta; later groups keep their own."""
        for group, ratio in zip(self._optimizer.param_groups, self._ratios, strict=False):
            set_rate(group, lr * ratio)
            if momentum is not None:
                set_momentum(group, momentum)

    def rates(self) -> list[float]:
        return [float(group["lr"]) for group in self._optimizer.param_groups]


def report(trial: ScriptTrial, step: int, metrics: Mapping[str, float], **other: Any) -> None:
    """Report an evaluation. One of a step that was reported adds what is new, and replaces nothing: frameworks evaluate
    again after the training, perhaps with other weights.
    """
    if trial.should_stop:
        return
    if step > trial.reported_step:
        trial.report(step, metrics, **other)
    elif step == trial.reported_step:
        trial.amend({name: value for name, value in metrics.items() if name not in trial.reported_metrics})


def numbers(metrics: Mapping[str, Any], besides: Iterable[str] = ()) -> dict[str, float]:
    """The metrics that are single numbers."""
    left_out = set(besides)
    return {
        name: float(value)
        for name, value in metrics.items()
        if name not in left_out and isinstance(value, SupportsFloat) and getattr(value, "ndim", 0) == 0
    }


def kept_at(trial: ScriptTrial) -> str | None:
    """The checkpoint of an earlier attempt, if it is on this machine."""
    if trial.checkpoint is None or os.path.exists(trial.checkpoint):
        return trial.checkpoint
    log.warning("the checkpoint %s is not on this machine: the trial begins anew", trial.checkpoint)
    return None


def warn_of_a_checkpoint(checkpoint: str | None, call: str) -> None:
    """Say that a training begins anew, though an earlier attempt left a checkpoint that `call` would use."""
    if checkpoint is not None:
        log.warning("this training begins anew, though an earlier attempt left a checkpoint: %s goes on from it", call)


def remove(folder: Path, pattern: str) -> None:
    """Delete the checkpoints of a trial that has its result."""
    for path in folder.glob(pattern):
        path.unlink(missing_ok=True)

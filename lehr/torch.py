"""`ScheduleLR`: runs a schedule as a torch scheduler. The only module of lehr that imports torch; no other imports it.

from lehr.schedules import Cosine
from lehr.torch import ScheduleLR

scheduler = ScheduleLR(optimizer, Cosine(start_lr=0.1, end_lr=0.001), horizon_steps=1000)
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lehr.errors import Fault, InvalidValueError
from lehr.schedules.base import Schedule
from lehr.schedules.groups import group_ratios, ratios_text, set_momentum, set_rate
from lehr.schedules.portable.closed_form import compiled
from lehr.schedules.sampling import progress_at

COMPILED = ("_lr_at", "_momentum_at")
"""Functions compiled from the schedule, which cannot be pickled."""

log = logging.getLogger("lehr.torch")


class ScheduleLR(LRScheduler):
    """Sets the rate of each parameter group at each step and, if the schedule cycles it, the momentum.

    `horizon_steps`: the number of optimizer steps of the training; after the last one, the rate stays constant. Adam
    and its variants get the momentum as their first beta; for an optimizer without either, a warning is logged.

    `factors`: the factor of the rate for each parameter group. By default, the group with the highest rate gets the
    schedule's rate and the others keep their ratios to it, which is logged as a warning; `factors=[1.0, …]` gives all
    groups the same rate. Groups added later keep their own rate.

    Each rate is computed from its step alone, so that a loaded state continues where it was saved, whether the
    optimizer's state is loaded before, afterwards or not at all.

    Raises InvalidValueError if the horizon is out of bounds or the number of factors is not that of the groups, and
    InvalidScheduleError for an adaptive schedule.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: Schedule,
        horizon_steps: int,
        *,
        factors: Sequence[float] | None = None,
    ) -> None:
        progress_at(0, horizon_steps)
        schedule.require_closed_form()
        self.schedule, self.horizon_steps = schedule, horizon_steps
        self._lr_at, self._momentum_at = compiled(schedule, horizon_steps)
        self._ratios_are_kept = factors is None
        self.factors = _kept_ratios(optimizer) if factors is None else _checked(factors, optimizer)
        if self._momentum_at is not None:
            reads = [set_momentum(group, self._momentum_at(0)) for group in optimizer.param_groups]
            if not all(reads):
                log.warning("%s has no momentum to cycle: the schedule only sets its rates", type(optimizer).__name__)
        super().__init__(optimizer)

    def get_lr(self) -> list[float | torch.Tensor]:
        """The rate of each group at the current step."""
        rate = self._lr_at(self.last_epoch)
        later = self.optimizer.param_groups[len(self.factors) :]
        return [*(rate * factor for factor in self.factors), *(group["lr"] for group in later)]

    def get_last_lr(self) -> list[float | torch.Tensor]:
        """The rate that each group currently has."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self, epoch: int | None = None) -> None:
        """Advance by one step, or to the step `epoch`."""
        if self._step_count < 2 or epoch is not None:
            # torch's implementation counts the first steps and warns if the schedule is stepped before its optimizer.
            super().step(epoch)
        else:
            self._step_count += 1
            self.last_epoch += 1
        self._set()

    def state_dict(self) -> dict[str, Any]:
        """The current step and the schedule, as plain JSON values."""
        return {
            "schedule": self.schedule.to_dict(),
            "horizon_steps": self.horizon_steps,
            "factors": list(self.factors),
            "last_epoch": self.last_epoch,
            "_step_count": self._step_count,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a saved state.

        The schedule, the horizon and explicit factors remain those of this scheduler; without explicit factors, the
        saved ratios of the groups are restored.
        """
        self.last_epoch = state_dict["last_epoch"]
        self._step_count = state_dict["_step_count"]
        if self._ratios_are_kept:
            self.factors = list(state_dict.get("factors") or self.factors)
        self._set()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in COMPILED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lr_at, self._momentum_at = compiled(self.schedule, self.horizon_steps)

    def _set(self) -> None:
        rate = self._lr_at(self.last_epoch)
        # A group that was added later has no factor.
        for group, factor in zip(self.optimizer.param_groups, self.factors, strict=False):
            set_rate(group, rate * factor)
        if self._momentum_at is not None:
            momentum = self._momentum_at(self.last_epoch)
            for group, _ in zip(self.optimizer.param_groups, self.factors, strict=False):
                set_momentum(group, momentum)


def _kept_ratios(optimizer: Optimizer) -> list[float]:
    """The ratios of the groups' initial rates, regardless of what an earlier scheduler has set since."""
    rates = [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
    ratios = list(group_ratios(rates))
    if set(ratios) != {1.0}:
        log.warning("%s", ratios_text(ratios))
    return ratios


def _checked(factors: Sequence[float], optimizer: Optimizer) -> list[float]:
    if len(factors) != len(optimizer.param_groups):
        bound = f"{len(optimizer.param_groups)} numbers"
        remedy = "Pass one factor for each parameter group."
        raise InvalidValueError(Fault("factors", "do not match the number of groups", bound, factors, remedy))
    if not all(0 <= factor < math.inf for factor in factors):
        remedy = "Use 1 for the schedule's rate, 0 for a group that is not trained."
        raise InvalidValueError(Fault("factors", "are out of bounds", "finite numbers >= 0", factors, remedy))
    return [float(factor) for factor in factors]

"""A schedule as a live scheduler of torch: the one module of lehr that imports torch, and which nothing else imports.

from lehr.schedules import Cosine
from lehr.torch import ScheduleLR

scheduler = ScheduleLR(optimizer, Cosine(start_lr=0.1, end_lr=0.001), horizon_steps=1000)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lehr.errors import Fault, InvalidValueError
from lehr.schedules.base import Schedule
from lehr.schedules.portable.closed_form import compiled
from lehr.schedules.steps import progress_at


class ScheduleLR(LRScheduler):
    """Gives each parameter group the rate of its step and, where the schedule cycles it, the momentum.

    `horizon_steps`: how many optimizer steps the training takes; from the last one on the rate stays. Adam and
    its kin get the momentum as their first beta. `factors`: what the rate is multiplied by for each parameter
    group, 1 for all by default; whatever rates the groups had are replaced.

    Each rate is computed from its step alone, so that a loaded state goes on where it was saved, whether the
    optimizer's own state is loaded before, afterwards or not at all.

    Raises InvalidValueError for a horizon out of its bounds or factors of another number than the groups,
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
        self.factors = [float(factor) for factor in factors] if factors is not None else None
        if factors is not None and len(factors) != len(optimizer.param_groups):
            bound = f"{len(optimizer.param_groups)} numbers"
            remedy = "Give one factor for each parameter group."
            raise InvalidValueError(Fault("factors", "are not as many as the groups", bound, factors, remedy))
        self._lr_at, self._momentum_at = compiled(schedule, horizon_steps)
        super().__init__(optimizer)

    def get_lr(self) -> list[float | torch.Tensor]:
        """The rate of each group at the present step."""
        rate = self._lr_at(self.last_epoch)
        factors = self.factors or [1.0] * len(self.optimizer.param_groups)
        return [rate * factor for factor in factors]

    def get_last_lr(self) -> list[float | torch.Tensor]:
        """The rate that each group has."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self, epoch: int | None = None) -> None:
        """Move on by one step, or to the step `epoch`."""
        if self._step_count < 2 or epoch is not None:
            # torch's own way counts the first steps, and warns where the schedule is stepped before its optimizer.
            super().step(epoch)
        else:
            self._step_count += 1
            self.last_epoch += 1
            self._set_rates()
        if self._momentum_at is not None:
            self._set_momentum(self._momentum_at(self.last_epoch))

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, and what the schedule is, all of it plain JSON values."""
        return {
            "schedule": self.schedule.to_dict(),
            "horizon_steps": self.horizon_steps,
            "last_epoch": self.last_epoch,
            "_step_count": self._step_count,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the state was saved. The schedule and the horizon stay those of this scheduler."""
        self.last_epoch = state_dict["last_epoch"]
        self._step_count = state_dict["_step_count"]
        self._set_rates()
        if self._momentum_at is not None:
            self._set_momentum(self._momentum_at(self.last_epoch))

    def _set_rates(self) -> None:
        rate = self._lr_at(self.last_epoch)
        for index, group in enumerate(self.optimizer.param_groups):
            own = rate if self.factors is None else rate * self.factors[index]
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(own)
            else:
                group["lr"] = own

    def _set_momentum(self, momentum: float) -> None:
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum

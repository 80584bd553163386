"""A schedule as PyTorch code that needs nothing of lehr.

The code computes each rate from the step alone, with the operations of the schedule's own formula in
their order: it reproduces the rates of the trained run to the last bit, and resumes from any step.
"""

from __future__ import annotations

import re

from lehr.schedules.base import Schedule
from lehr.schedules.shapes import Levels
from lehr.schedules.steps import progress_at

HEADER = '''"""The {family} schedule over {horizon} steps: {rates}.

    scheduler = LehrLR(optimizer)          # sets the rate of the first step
    for batch in batches:
        ...
        optimizer.step()
        scheduler.step()                   # once a step, not once an epoch
"""
'''

SCHEDULER = '''class LehrLR(torch.optim.lr_scheduler.LRScheduler):
    """Gives every parameter group the rate of its step; state_dict and load_state_dict resume it anywhere."""

    def get_lr(self):
        return [lr_at(self.last_epoch) for _ in self.optimizer.param_groups]

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(lr_at(self.last_epoch))
            else:
                group["lr"] = lr_at(self.last_epoch)
'''

MOMENTUM_SCHEDULER = '''class LehrLR(torch.optim.lr_scheduler.LRScheduler):
    """Gives every parameter group the rate and the momentum (or Adam's beta1) of its step.

    state_dict and load_state_dict resume it anywhere.
    """

    def get_lr(self):
        self._set_momentum()
        return [lr_at(self.last_epoch) for _ in self.optimizer.param_groups]

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        self._set_momentum()
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(lr_at(self.last_epoch))
            else:
                group["lr"] = lr_at(self.last_epoch)

    def _set_momentum(self):
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (momentum_at(self.last_epoch), *group["betas"][1:])
            else:
                group["momentum"] = momentum_at(self.last_epoch)
'''


def torch_code(schedule: Schedule, horizon_steps: int) -> str:
    """Python text (imports: math, torch) that defines `lr_at(step)` and a scheduler class `LehrLR(optimizer)`.

    `horizon_steps` is how many optimizer steps the training takes, 1 to MAX_HORIZON_STEPS. A schedule
    that cycles momentum gets `momentum_at(step)` too, and its scheduler sets both. Raises
    InvalidScheduleError for an adaptive one.
    """
    progress_at(0, horizon_steps)
    schedule.require_closed_form()
    rates = f"from {schedule.start_lr!r} to {schedule.end_lr!r}"
    if schedule.peak_lr is not None:
        rates = f"from {schedule.start_lr!r} over {schedule.peak_lr!r} to {schedule.end_lr!r}"
    parts = [
        HEADER.format(family=schedule.family, horizon=horizon_steps, rates=rates),
        "import math\n\nimport torch\n\n",
        _function("lr_at", "learning rate", schedule, horizon_steps, schedule.levels),
    ]
    momenta = schedule.momentum_levels
    if momenta is not None:
        parts.append(_function("momentum_at", "momentum", schedule, horizon_steps, momenta))
    parts.append(SCHEDULER if momenta is None else MOMENTUM_SCHEDULER)
    return "\n".join(parts)


def _function(name: str, what: str, schedule: Schedule, horizon_steps: int, levels: Levels) -> str:
    """A function of the step that draws the schedule's curve through the levels."""
    rise, (low, high) = schedule.rise_fraction, schedule._limits(levels)
    lines = [f"progress = step / {horizon_steps - 1}" if horizon_steps > 1 else "progress = 0.0"]
    lines += ["if progress <= 0:", f"    return {levels.first!r}", "if progress >= 1:", f"    return {levels.last!r}"]
    clamped = f"return min(max(value, {low!r}), {high!r})"
    if rise > 0:
        lines += [f"if progress < {rise!r}:", f"    x = progress / {rise!r}"]
        lines += [f"    {line}" for line in (*schedule._rise_code(levels), clamped)]
    body = schedule._body_code(levels)
    if any(re.search(r"\bx\b", line) for line in body):
        lines.append(f"x = (progress - {rise!r}) / (1 - {rise!r})" if rise > 0 else "x = progress")
    lines += [*body, clamped]
    text = "\n".join(f"    {line}" for line in lines)
    return f'def {name}(step):\n    """The {what} at a step, counted from 0."""\n{text}\n\n'

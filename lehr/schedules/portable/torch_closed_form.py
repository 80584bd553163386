"""Exports a schedule as PyTorch code that does not need lehr.

The code computes each rate from the step alone, with the same operations in the same order as the schedule's
formula. So its rates are bit-identical to those of the training, and it resumes from any step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lehr.schedules.base import Schedule
from lehr.schedules.compositions.composition import Composed
from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.sampling import progress_at

USAGE = """scheduler = LehrLR(optimizer)          # sets the rate of the first step
for batch in batches:
    ...
    optimizer.step()
    scheduler.step()                   # once a step, not once an epoch"""

SCHEDULER = '''class LehrLR(torch.optim.lr_scheduler.LRScheduler):
    """Sets the {what} of each step; state_dict and load_state_dict resume it anywhere.

    The parameter group with the highest rate gets the schedule's rate. The others keep the ratios of their rates to it;
    a group that is added later keeps its own rate.
    """

    def __init__(self, optimizer):
        rates = [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
        self.ratios = [rate / max(rates) if max(rates) > 0 else 1.0 for rate in rates]
        super().__init__(optimizer)

    def get_lr(self):
        later = self.optimizer.param_groups[len(self.ratios) :]
        return [lr_at(self.last_epoch) * ratio for ratio in self.ratios] + [group["lr"] for group in later]

    def step(self, epoch=None):
        if epoch is not None or self._step_count < 2:
            super().step(epoch)  # torch checks that the optimizer is stepped first
            self._set()
            return
        self._step_count += 1
        self.last_epoch += 1
        self._set()

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        self._set()

    def _set(self):
        rate = lr_at(self.last_epoch)
        groups = self.optimizer.param_groups
        for group, ratio in zip(groups, self.ratios):
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate * ratio)
            else:
                group["lr"] = rate * ratio
        self._last_lr = [group["lr"] for group in groups]
'''

MOMENTUM = """        momentum = momentum_at(self.last_epoch)
        for group, _ in zip(groups, self.ratios):
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            elif "momentum" in group:
                group["momentum"] = momentum
"""


def header(schedule: Schedule, horizon_steps: int, usage: str) -> str:
    """The docstring of an exported file: the schedule, and how to use it."""
    rates = f"from {schedule.start_lr!r} to {schedule.end_lr!r}"
    if schedule.peak_lr is not None:
        rates = f"from {schedule.start_lr!r} over {schedule.peak_lr!r} to {schedule.end_lr!r}"
    lines = [f'"""The {schedule.family} schedule over {horizon_steps} steps: {rates}.', ""]
    lines += [f"    {line}".rstrip() for line in usage.splitlines()]
    return "\n".join([*lines, '"""', ""])


def torch_code(schedule: Schedule, horizon_steps: int, usage: str = USAGE) -> str:
    """Python code (imports: math, torch) that defines `lr_at(step)` and a scheduler class `LehrLR(optimizer)`.

    `horizon_steps` is the number of optimizer steps in the training, 1 to MAX_HORIZON_STEPS. For a schedule
    that cycles momentum it also defines `momentum_at(step)`, and the scheduler sets both. Parameter groups keep the
    ratios of their rates. The code's docstring shows `usage`. Raises InvalidScheduleError for an adaptive schedule.
    """
    progress_at(0, horizon_steps)
    schedule.require_closed_form()
    parts = [
        header(schedule, horizon_steps, usage),
        "import math\n\nimport torch\n\n",
        *_functions("lr", "learning rate", schedule, horizon_steps),
    ]
    momentum = schedule.momentum_levels is not None
    if momentum:
        parts += _functions("momentum", "momentum", schedule, horizon_steps)
    scheduler = SCHEDULER.format(what="rate and the momentum (or Adam's beta1)" if momentum else "rate")
    parts.append(scheduler + (MOMENTUM if momentum else ""))
    return "\n".join(parts)


def rise_function(schedule: Shaped, horizon_steps: int) -> str:
    """The definition of `warmup_lr_at(step)`, which returns None once the rate has reached its top."""
    rise, levels = schedule.rise_fraction, schedule.levels
    low, high = min(levels.first, levels.top), max(levels.first, levels.top)
    lines = [
        f"progress = step / {horizon_steps - 1}" if horizon_steps > 1 else "progress = 0.0",
        "if progress <= 0:",
        f"    return {levels.first!r}",
        f"if progress >= {rise!r}:",
        "    return None",
        f"x = progress / {rise!r}",
        *schedule._rise_code(levels),
        f"return min(max(value, {low!r}), {high!r})",
    ]
    return _function("warmup_lr_at(step)", "The learning rate at a step of the warm-up, counted from 0.", lines)


def _functions(which: str, what: str, schedule: Schedule, horizon_steps: int) -> Iterator[str]:
    """The function of the step for the rate (`which` is lr) or the momentum, preceded by its helper functions."""
    at_step = [f"progress = step / {horizon_steps - 1}" if horizon_steps > 1 else "progress = 0.0"]
    if isinstance(schedule, Composed):
        yield from _part_functions(f"_{which}", which, what, schedule)
        at_step.append(f"return _{which}(min(max(progress, 0.0), 1.0))")
    else:
        assert isinstance(schedule, Shaped)
        at_step += _curve(schedule, which)
    yield _function(f"{which}_at(step)", f"The {what} at a step, counted from 0.", at_step)


def _part_functions(name: str, which: str, what: str, schedule: Schedule) -> Iterator[str]:
    """A function of the progress, preceded by those of its parts."""
    if isinstance(schedule, Composed):
        names = [f"{name}_{index}" for index in range(len(schedule.members))]
        for part_name, part in zip(names, schedule.members, strict=True):
            yield from _part_functions(part_name, which, what, part)
        lines = ["progress = min(max(progress, 0.0), 1.0)", *schedule._value_code(names, which)]
    else:
        assert isinstance(schedule, Shaped)
        lines = _curve(schedule, which)
    yield _function(f"{name}(progress)", f"The {what} of the {schedule.family} part.", lines)


def _function(signature: str, doc: str, lines: list[str]) -> str:
    text = "\n".join(f"    {line}" for line in lines)
    return f'def {signature}:\n    """{doc}"""\n{text}\n\n'


def _curve(schedule: Shaped, which: str) -> list[str]:
    """Lines that return the value of a family's curve at `progress`."""
    levels = schedule.levels if which == "lr" else schedule.momentum_levels
    assert levels is not None
    rise, (low, high) = schedule.rise_fraction, schedule._limits(levels)
    lines = ["if progress <= 0:", f"    return {levels.first!r}", "if progress >= 1:", f"    return {levels.last!r}"]
    clamped = f"return min(max(value, {low!r}), {high!r})"
    if rise > 0:
        lines += [f"if progress < {rise!r}:", f"    x = progress / {rise!r}"]
        lines += [f"    {line}" for line in (*schedule._rise_code(levels), clamped)]
    body = schedule._body_code(levels)
    if any(re.search(r"\bx\b", line) for line in body):
        lines.append(f"x = (progress - {rise!r}) / (1 - {rise!r})" if rise > 0 else "x = progress")
    return [*lines, *body, clamped]

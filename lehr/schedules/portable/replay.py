"""Checks an imported schedule against its source, by running a copy of the torch scheduler.

Does not import torch: the copy steps with its own methods, on a stand-in for its optimizer.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any, NoReturn

from lehr.schedules.base import Schedule
from lehr.schedules.portable.reading import refuse

MAX_REPLAYED_STEPS = 100_000
"""Maximum number of steps that are compared: about a second's work."""
RELATIVE, OF_THE_TOP = 1e-9, 1e-10
"""Tolerances, relative to torch's rate and to the highest rate: torch often accumulates rounding by multiplying."""
FAILURES = (ArithmeticError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError)
"""What torch's schedulers raise if their arguments are inconsistent."""


class StandIn:
    """Replaces the optimizer for schedulers: parameter groups without parameters."""

    def __init__(self, optimizer: Any) -> None:
        self.defaults = dict(optimizer.defaults)
        self.param_groups = [
            {name: _plain(value) for name, value in group.items() if name != "params"}
            for group in optimizer.param_groups
        ]
        self._opt_called = True

    def step(self) -> None:
        """Does nothing. Schedulers check whether it was called."""

    step._wrapped_by_lr_sched = True  # type: ignore[attr-defined]  # or they warn that they are stepped first


def require_equal(schedule: Schedule, scheduler: Any, horizon_steps: int) -> None:
    """Raises InexpressibleError unless the schedule has the scheduler's rates and momenta at every step."""
    steps = min(horizon_steps, MAX_REPLAYED_STEPS)
    rates = [schedule.lr(step, horizon_steps) for step in range(steps)]
    slack = OF_THE_TOP * max(rates)
    for step, groups in enumerate(_replayed(scheduler, StandIn(scheduler.optimizer), steps)):
        momentum = schedule.momentum(step, horizon_steps)
        for group in groups:
            if not math.isclose(rates[step], group["lr"], rel_tol=RELATIVE, abs_tol=slack):
                _refuse_difference("rate", step, rates[step], group["lr"])
            if momentum is not None:
                theirs = group["betas"][0] if "betas" in group else group["momentum"]
                if not math.isclose(momentum, theirs, rel_tol=RELATIVE, abs_tol=OF_THE_TOP):
                    _refuse_difference("momentum", step, momentum, theirs)


def _refuse_difference(what: str, step: int, ours: float, theirs: float) -> NoReturn:
    bound = f"{ours!r}, as in the nearest schedule here"
    refuse("scheduler", f"has a {what} at step {step} that no schedule here has", bound, theirs)


def _replayed(scheduler: Any, optimizer: StandIn, steps: int) -> Iterator[list[dict[str, Any]]]:
    """The parameter groups at each step."""
    step = 0
    try:
        copied = _copy(scheduler, optimizer, rewinds=_is_stepped(scheduler))
        for step in range(steps):
            yield optimizer.param_groups
            if step < steps - 1:
                copied.step()
    except FAILURES as error:
        message = f"fails after step {step}: {type(error).__name__}: {error}"
        refuse("scheduler", message, "a scheduler that runs", type(scheduler).__name__)


def _is_stepped(scheduler: Any) -> bool:
    parts = getattr(scheduler, "_schedulers", [])
    return getattr(scheduler, "last_epoch", 0) > 0 or any(_is_stepped(part) for part in parts)


def _copy(scheduler: Any, optimizer: StandIn, *, rewinds: bool) -> Any:
    """The scheduler on another optimizer, at the first step if it rewinds."""
    copied = copy.copy(scheduler)
    copied.__dict__.update({name: _plain(value) for name, value in vars(scheduler).items()}, optimizer=optimizer)
    if rewinds:
        for group in optimizer.param_groups:
            group["lr"] = group.get("initial_lr", group["lr"])
    if hasattr(scheduler, "_schedulers"):
        copied._schedulers = [_copy(part, optimizer, rewinds=rewinds) for part in scheduler._schedulers]
        # Only its constructor restarts the first part.
        return type(scheduler)(optimizer, copied._schedulers, scheduler._milestones) if rewinds else copied
    if rewinds:
        _rewind(copied)
    return copied


def _rewind(copied: Any) -> None:
    """Repeat the last action of the constructor."""
    copied.last_epoch = -1
    if hasattr(copied, "T_0"):
        copied.T_i, copied.T_cur = copied.T_0, -1
    copied._initial_step()


def _plain(value: Any) -> Any:
    """Converts rates in tensors to numbers, to compute in 64 bits and leave the optimizer's tensors unchanged."""
    if isinstance(value, list | tuple):
        return type(value)(_plain(each) for each in value)
    return float(value) if hasattr(value, "fill_") and value.numel() == 1 else value

"""What the callbacks for training frameworks share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, SupportsFloat

from lehr.errors import Fault, InvalidValueError
from lehr.script.trial import ScriptTrial


def require_horizon(trial: ScriptTrial, steps: float, remedy: str) -> None:
    """Raises InvalidValueError unless the framework is about to take as many steps as the trial has."""
    if steps != trial.horizon_steps:
        bound = f"{trial.horizon_steps} steps, the trial's horizon"
        raise InvalidValueError(Fault("steps", "the training has another length", bound, steps, remedy))


def set_rates(optimizer: Any, lr: float, momentum: float | None) -> None:
    """Give each group of a torch optimizer the rate and, unless None, the momentum or first beta."""
    for group in optimizer.param_groups:
        if hasattr(group["lr"], "fill_"):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr
        if momentum is not None and "betas" in group:
            group["betas"] = (momentum, *group["betas"][1:])
        elif momentum is not None:
            group["momentum"] = momentum


def numbers(metrics: Mapping[str, Any], besides: Iterable[str] = ()) -> dict[str, float]:
    """The metrics that are single numbers."""
    left_out = set(besides)
    return {
        name: float(value)
        for name, value in metrics.items()
        if name not in left_out and isinstance(value, SupportsFloat) and getattr(value, "ndim", 0) == 0
    }

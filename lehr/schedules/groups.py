"""Applies a schedule to an optimizer whose parameter groups have different rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def group_ratios(rates: Sequence[float]) -> tuple[float, ...]:
    """The factor on the schedule's rate for each group: the group's own rate divided by the highest one.

    The group with the highest rate gets the schedule's rate, so that no group exceeds it. If all rates are equal,
    each factor is 1.

    >>> group_ratios([0.5, 0.125, 0.5])
    (1.0, 0.25, 1.0)
    >>> group_ratios([0.0, 0.0])
    (1.0, 1.0)
    """
    highest = max(rates, default=0.0)
    return tuple(rate / highest if highest > 0 else 1.0 for rate in rates)


def ratios_text(ratios: Sequence[float]) -> str:
    """A sentence with the rates that the groups train with."""
    shown = ", ".join(f"{ratio:g}" for ratio in ratios)
    return f"the parameter groups keep the ratios of their rates: {shown} times the schedule's"


def set_rate(group: dict[str, Any], rate: float) -> None:
    """Set the rate of a torch optimizer's group; a rate in a tensor is changed in place."""
    if hasattr(group["lr"], "fill_"):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def set_momentum(group: dict[str, Any], momentum: float) -> bool:
    """Set a group's momentum or first beta. Returns False, and sets nothing, if its optimizer has neither."""
    if group.get("betas") is not None:
        group["betas"] = (momentum, *group["betas"][1:])
    elif "momentum" in group:
        group["momentum"] = momentum
    else:
        return False
    return True

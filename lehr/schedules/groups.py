"""Parameter groups: how a schedule of one rate is applied to an optimizer whose groups have several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def group_ratios(rates: Sequence[float]) -> tuple[float, ...]:
    """What the schedule's rate is multiplied by for each group: the group's own rate over the highest one.

    The highest has the schedule's rate, so that no group exceeds it. Groups of equal rates have 1 each.

    >>> group_ratios([0.5, 0.125, 0.5])
    (1.0, 0.25, 1.0)
    >>> group_ratios([0.0, 0.0])
    (1.0, 1.0)
    """
    highest = max(rates, default=0.0)
    return tuple(rate / highest if highest > 0 else 1.0 for rate in rates)


def ratios_text(ratios: Sequence[float]) -> str:
    """The sentence that says which rates the groups train with."""
    shown = ", ".join(f"{ratio:g}" for ratio in ratios)
    return f"the parameter groups keep the ratios of their rates: {shown} times the schedule's"


def set_rate(group: dict[str, Any], rate: float) -> None:
    """Give a group of a torch optimizer its rate; one that is kept in a tensor stays there."""
    if hasattr(group["lr"], "fill_"):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def set_momentum(group: dict[str, Any], momentum: float) -> bool:
    """Set a group's momentum or first beta. False, and nothing is set, where its optimizer reads neither."""
    if group.get("betas") is not None:
        group["betas"] = (momentum, *group["betas"][1:])
    elif "momentum" in group:
        group["momentum"] = momentum
    else:
        return False
    return True

"""Determines what a study trained with: from the request, or else from the task's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from lehr.errors import Fault, InvalidValueError
from lehr.wire.transfer import Optimizer, TransferRequest

WIDTHS = ("width", "hidden")
"""Names of the parameter for a model's width."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a study trained with. `batch_size` and `width` are None if they are unknown and not needed."""

    optimizer: Optimizer
    horizon_steps: int
    batch_size: int | None
    width: int | None


def setting(request: TransferRequest, params: Mapping[str, Any], horizon_steps: int | None) -> Setting:
    """The study's setting. Raises InvalidValueError with a fault for each value that is needed and unknown."""
    origin = request.origin
    optimizer = request.optimizer or params.get("optimizer")
    horizon = origin.horizon_steps or horizon_steps
    batch_size = origin.batch_size or _whole(params.get("batch_size"))
    width = origin.width or next((width for name in WIDTHS if (width := _whole(params.get(name)))), None)
    faults = []
    if optimizer not in get_args(Optimizer):
        faults.append(_unknown("optimizer", f"one of {', '.join(get_args(Optimizer))}", optimizer))
    if horizon is None:
        faults.append(_unknown("origin.horizon_steps", "a number of steps", None))
    if request.batch_size is not None and batch_size is None:
        faults.append(_unknown("origin.batch_size", "a number of examples", None))
    if request.width is not None and width is None:
        faults.append(_unknown("origin.width", "a number of units", None))
    if faults or horizon is None:
        raise InvalidValueError(faults)
    return Setting(cast("Optimizer", optimizer), horizon, batch_size, width)


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and value >= 1 and float(value).is_integer() else None


def _unknown(field: str, bound: str, value: Any) -> Fault:
    return Fault(field, "is unknown: the study's task has no such parameter", bound, value, "Set it in the request.")

"""What a study trained with: told by the request, else by the task's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from lehr.errors import Fault, InvalidValueError
from lehr.wire.transfer import Optimizer, TransferRequest

WIDTHS = ("width", "hidden")
"""Names that tasks give to the width of their model."""


@dataclass(frozen=True, slots=True)
class Setting:
    """None: not asked for, and not known."""

    optimizer: Optimizer
    horizon_steps: int
    batch_size: int | None
    width: int | None


def setting(request: TransferRequest, params: Mapping[str, Any], horizon_steps: int | None) -> Setting:
    """Raises InvalidValueError, with a fault for each thing that is needed and nobody tells."""
    told = request.origin
    optimizer = request.optimizer or params.get("optimizer")
    horizon = told.horizon_steps or horizon_steps
    batch_size = told.batch_size or _whole(params.get("batch_size"))
    width = told.width or next((found for name in WIDTHS if (found := _whole(params.get(name)))), None)
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
    return Fault(
        field, "the study's task does not tell it", bound, value, "Say in the request what the study trained with."
    )

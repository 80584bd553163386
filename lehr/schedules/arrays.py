"""Computes whole curves as numpy arrays, if numpy is installed.

The formulas are those of `Schedule.lr`, evaluated element by element. Operators round the same way in both;
numpy's cosines and powers may differ from the C library's in the last digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lehr.schedules.sampling import count_points, spaced_steps

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.float64]

BLOCK_POINTS = 1 << 15
"""Number of points computed together: few enough for the intermediate arrays to stay in the cache."""


class Curved(Protocol):
    """The part of `lehr.schedules.base.Schedule` that computing a curve needs."""

    @property
    def momentum_levels(self) -> tuple[float, float, float] | None: ...
    def lr_array(self, progress: Array) -> Array: ...
    def momentum_array(self, progress: Array) -> Array | None: ...


@dataclass(frozen=True, slots=True, eq=False)
class CurveArray:
    """Rates at some steps of a horizon, as arrays of one length. `momentum` is None unless the schedule cycles it."""

    step: NDArray[numpy.int64]
    lr: Array
    momentum: Array | None


def curve_array(schedule: Curved, horizon: int, max_points: int | None = None) -> CurveArray:
    """The result of `schedule.curve`, as arrays.

    Raises InvalidValueError for more than MAX_CURVE_POINTS points, and ModuleNotFoundError without numpy.
    """
    np = _numpy()
    points = count_points(horizon, max_points)
    steps = np.arange(horizon) if points == horizon else np.asarray(spaced_steps(horizon, points))
    lr = np.empty(len(steps))
    momentum = np.empty(len(steps)) if schedule.momentum_levels is not None else None
    for begin in range(0, len(steps), BLOCK_POINTS):
        block = slice(begin, begin + BLOCK_POINTS)
        progress = steps[block] / max(horizon - 1, 1)
        lr[block] = schedule.lr_array(progress)
        if momentum is not None:
            momentum[block] = schedule.momentum_array(progress)
    return CurveArray(steps, lr, momentum)


def _numpy() -> Any:
    try:
        import numpy
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError("curve_array needs numpy: install it, or use curve", name="numpy") from missing
    return numpy

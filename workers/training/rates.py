"""The learning rate and momentum of each step of a run, from a fixed or a metric-driven schedule."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lehr.errors import Fault, InvalidValueError
from lehr.schedules import Plateau, PlateauState, Schedule
from lehr.schedules.sampling import progress_at

if TYPE_CHECKING:
    from lehr.schedules.arrays import Array


class Rates:
    """Rates and momenta by step. Those of an adaptive schedule depend on the metrics passed to `observe` so far.

    `metrics`: those that the task reports. Raises InvalidValueError when the schedule follows a metric not among them.
    """

    def __init__(self, schedule: Schedule, horizon_steps: int, metrics: Collection[str]) -> None:
        self._schedule = schedule
        self._horizon_steps = horizon_steps
        self._plateau = _plateau(schedule, metrics)

    def lr(self, step: int) -> float:
        if self._plateau is None:
            return self._schedule.lr(step, self._horizon_steps)
        return self._plateau.lr_at(progress_at(step, self._horizon_steps))

    def momentum(self, step: int) -> float | None:
        return self._schedule.momentum(step, self._horizon_steps)

    def ahead(self, first: int, count: int) -> tuple[Array, Array | None]:
        """`lr` and `momentum` of `count` steps from `first`, bit for bit, given the metrics observed so far."""
        if self._plateau is not None:
            return np.full(count, self.lr(first)), None
        last = self._horizon_steps - 1
        progress = np.minimum(np.arange(first, first + count), last) / max(last, 1)
        return self._schedule.lr_array(progress), self._schedule.momentum_array(progress)

    def observe(self, metrics: Mapping[str, float | None]) -> None:
        """Record the metrics of an evaluation; None stands for a non-finite value."""
        if self._plateau is None:
            return
        value = metrics[self._plateau.plateau.metric]
        self._plateau.step(math.nan if value is None else value)

    def state(self) -> dict[str, Any] | None:
        """The state on which later rates depend, besides the step."""
        return None if self._plateau is None else self._plateau.state_dict()

    def restore(self, state: dict[str, Any] | None) -> None:
        if self._plateau is not None and state is not None:
            self._plateau.load_state_dict(state)


def _plateau(schedule: Schedule, metrics: Collection[str]) -> PlateauState | None:
    if not isinstance(schedule, Plateau):
        return None
    if schedule.metric not in metrics:
        bound = "one of " + ", ".join(metrics)
        fault = Fault("schedule.metric", "not reported by the task", bound, schedule.metric, "Use one of these.")
        raise InvalidValueError(fault)
    return PlateauState(schedule)

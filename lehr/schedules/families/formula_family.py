"""Base class of all families: evaluates the family's formula, with any rise before it, for rates and momenta."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from lehr.schedules import interpolation
from lehr.schedules.base import Schedule, known
from lehr.schedules.interpolation import SHAPES, Levels, clamp

if TYPE_CHECKING:
    from lehr.schedules.arrays import Array


class Frame(NamedTuple):
    """The levels of a curve, the fraction of the horizon in which it rises, and its limits."""

    levels: Levels
    rise: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Shaped(Schedule, ABC):
    """A schedule of a family: an optional rise to the top level, then a body from there to the last level."""

    @abstractmethod
    def _body(self, progress: float, levels: Levels) -> float:
        """The value after the rise, at a progress in [rise_fraction, 1), between the top and the last level.

        Called with a float or an array: an implementation that uses only operators and `elementwise` works for both.
        """

    @abstractmethod
    def _body_code(self, levels: Levels) -> list[str]:
        """`_body` for a float, as lines of Python that set `value` from `progress` and x."""

    def _rise(self, z: float, levels: Levels) -> float:
        """The value at the fraction z in [0, 1) of the rise; also for arrays."""
        return SHAPES[self.warmup_shape](levels.first, levels.top, z)

    def _rise_code(self, levels: Levels) -> list[str]:
        """`_rise` for a float, as lines of Python that set `value` from x, which stands for z."""
        return [f"value = {interpolation.code(self.warmup_shape, levels.first, levels.top)}"]

    def _limits(self, levels: Levels) -> tuple[float, float]:
        """The lowest and the highest possible value of the curve through these levels."""
        return min(levels), max(levels)

    @property
    def min_lr(self) -> float:
        return self._limits(self.levels)[0]

    def lr_at(self, progress: float) -> float:
        return self._through(progress, self._rates)

    def momentum_at(self, progress: float) -> float | None:
        levels = self.momentum_levels
        return None if levels is None else self._through(progress, self._frame(levels))

    def lr_array(self, progress: Array) -> Array:
        return self._through_array(progress, self.levels)

    def momentum_array(self, progress: Array) -> Array | None:
        levels = self.momentum_levels
        return None if levels is None else self._through_array(progress, levels)

    def _after_rise(self, progress: float) -> float:
        """The completed fraction of the part after the rise, in [0, 1]."""
        return (progress - self.rise_fraction) / (1 - self.rise_fraction)

    @cached_property
    def _rates(self) -> Frame:
        return self._frame(self.levels)

    def _frame(self, levels: Levels) -> Frame:
        return Frame(levels, self.rise_fraction, *self._limits(levels))

    def _through(self, progress: float, frame: Frame) -> float:
        """The value of the curve through the frame's levels: a rate, or the momentum that mirrors it."""
        levels, rise, low, high = frame
        progress = known(progress)
        if progress <= 0:
            return levels.first
        if progress >= 1:
            return levels.last
        value = self._rise(progress / rise, levels) if progress < rise else self._body(progress, levels)
        return value if low <= value <= high else clamp(value, low, high)

    def _through_array(self, progress: Array, levels: Levels) -> Array:
        """`_through`, element by element."""
        _, rise, low, high = self._frame(levels)
        values = progress * 0.0 + levels.top
        rises, falls = progress < rise, (progress >= rise) & (progress < 1)
        # `_body` and `_rise` accept arrays, though they are typed for floats.
        if rises.any():
            values[rises] = self._rise(progress[rises] / rise, levels)  # type: ignore[arg-type]
        if falls.any():
            values[falls] = self._body(progress[falls], levels)  # type: ignore[arg-type]
        values = values.clip(low, high)
        values[progress <= 0] = levels.first
        values[progress >= 1] = levels.last
        return values

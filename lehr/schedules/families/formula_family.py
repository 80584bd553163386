"""What every family is: a formula, drawn through the schedule's levels."""

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
    """What a curve is drawn in: its levels, the part of the horizon that it rises in, and its limits."""

    levels: Levels
    rise: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Shaped(Schedule, ABC):
    """A schedule of a family: its body leads from the top, which a rise may reach first, to the last level."""

    @abstractmethod
    def _body(self, progress: float, levels: Levels) -> float:
        """The value after the rise, at progress in [rise_fraction, 1), on its way from the top to the last level.

        It is called with a float, or with an array of them: written with operators and `elementwise`
        alone, it does for both.
        """

    @abstractmethod
    def _body_code(self, levels: Levels) -> list[str]:
        """`_body` for one float as lines of Python that set `value` from `progress` and, after the rise, x."""

    def _rise(self, z: float, levels: Levels) -> float:
        """The value of the rise where z in [0, 1) of it is done; for arrays too."""
        return SHAPES[self.warmup_shape](levels.first, levels.top, z)

    def _rise_code(self, levels: Levels) -> list[str]:
        """`_rise` for one float as lines of Python that set `value` from x, its z."""
        return [f"value = {interpolation.code(self.warmup_shape, levels.first, levels.top)}"]

    def _limits(self, levels: Levels) -> tuple[float, float]:
        """The lowest and the highest value that the curve through these levels may take."""
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
        """How much of what follows the rise is done, in [0, 1]."""
        return (progress - self.rise_fraction) / (1 - self.rise_fraction)

    @cached_property
    def _rates(self) -> Frame:
        return self._frame(self.levels)

    def _frame(self, levels: Levels) -> Frame:
        return Frame(levels, self.rise_fraction, *self._limits(levels))

    def _through(self, progress: float, frame: Frame) -> float:
        """The schedule's curve drawn through three levels: rates, or the momenta that mirror them."""
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
        # Arrays pass for floats here: see `_body`.
        if rises.any():
            values[rises] = self._rise(progress[rises] / rise, levels)  # type: ignore[arg-type]
        if falls.any():
            values[falls] = self._body(progress[falls], levels)  # type: ignore[arg-type]
        values = values.clip(low, high)
        values[progress <= 0] = levels.first
        values[progress >= 1] = levels.last
        return values

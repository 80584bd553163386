"""The base class of all learning-rate schedules: an immutable, closed-form function of progress.

Progress runs from 0 at the first step to 1 at the last: step i of a horizon of n steps has
progress i / (n - 1). All fractions are of the whole horizon, warm-up included.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from lehr.errors import Fault, InvalidScheduleError, InvalidValueError
from lehr.schedules import arrays
from lehr.schedules.contradictions import rate_faults
from lehr.schedules.interpolation import SHAPE_NAMES, Levels, ShapeName
from lehr.schedules.parameters import field_fault, parameter, parameter_of
from lehr.schedules.sampling import progress_at, spaced_steps

if TYPE_CHECKING:
    from lehr.schedules.arrays import Array

JUMP_SLACK = 1e-14
"""A jump takes effect up to this far below its progress, to absorb rounding errors.

(p - w) / (1 - w) can round to just below a jump that it should equal, and the step would then have a restart's
lowest rate instead of its highest. Steps of the longest horizon are 1e-12 apart.
"""


@dataclass(frozen=True, slots=True)
class Curve:
    """Rates at some steps of a horizon. `momentum` is None unless the schedule cycles it."""

    step: tuple[int, ...]
    lr: tuple[float, ...]
    momentum: tuple[float, ...] | None


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """A learning rate as a function of progress.

    Without a warm-up the rate starts at `start_lr` and follows the family's body to `end_lr`. With
    `warmup_fraction` above 0 it first climbs from `start_lr` to `peak_lr` over that part of the horizon,
    and the body starts from there. The rate is exactly `start_lr` at the first step and exactly `end_lr`
    at the last step and beyond; it never leaves the range of the declared rates.

    Raises InvalidScheduleError, with one fault for each invalid field.
    """

    family: ClassVar[str]
    """The name in documents, and the key in `FAMILIES`."""
    formula: ClassVar[str]
    """The rate after the warm-up; x in [0, 1] is the fraction of that part, p of the whole horizon."""
    source: ClassVar[str]
    """The publication that introduced the family, or the library that popularized it."""
    climbs: ClassVar[bool] = False
    """Whether the family rises to a peak by itself, without a warm-up."""
    cycles_momentum: ClassVar[bool] = False
    decays: ClassVar[bool] = True
    """Whether `end_lr` may be below the highest rate; if not, the two are equal."""
    searchable: ClassVar[bool] = True
    """Whether a search draws from this family by default."""
    drawable: ClassVar[bool] = True
    """Whether a search can draw from it on request. Not possible if a list of arbitrary length defines its shape."""
    continuous: ClassVar[bool] = True
    """Whether the rate never jumps, whatever the parameters."""
    adaptive: ClassVar[bool] = False
    """Whether the rate depends on the training's metrics, so that progress alone does not determine it."""

    start_lr: float = parameter("float", "the rate at the first step", low=0.0)
    end_lr: float = parameter("float", "the rate at the last step", low=0.0)
    peak_lr: float | None = parameter(
        "float", "the highest rate, where one climbs", default=None, low=0.0, open_low=True
    )
    warmup_fraction: float = parameter(
        "float",
        "the part of the horizon that climbs from start_lr to peak_lr",
        default=0.0,
        low=0.0,
        high=1.0,
        open_high=True,
    )
    warmup_shape: ShapeName = parameter("choice", "how it climbs", default="linear", choices=SHAPE_NAMES)

    def __post_init__(self) -> None:
        faults = [fault for each in fields(self) if (fault := field_fault(each, getattr(self, each.name)))]
        if not faults:
            for each in fields(self):
                value = getattr(self, each.name)
                if value is not None:
                    object.__setattr__(self, each.name, parameter_of(each).normal(value))
            faults = list(self._contradictions())
        if faults:
            raise InvalidScheduleError(faults)

    @property
    def levels(self) -> Levels:
        """The rates that the curve passes through: at the first step, after the rise, and at the last step."""
        return Levels(self.start_lr, self.start_lr if self.peak_lr is None else self.peak_lr, self.end_lr)

    @property
    @abstractmethod
    def min_lr(self) -> float:
        """The lowest rate, or a lower bound on it."""

    @property
    def max_lr(self) -> float:
        """The highest rate, or an upper bound on it if the family's docstring says so."""
        return self.start_lr if self.peak_lr is None else self.peak_lr

    @property
    def rise_fraction(self) -> float:
        """The part of the horizon, in [0, 1), before the rate first reaches its top."""
        return self.warmup_fraction

    @property
    def unused_fields(self) -> frozenset[str]:
        """Fields without an effect on the curve, given the others, and `warmup_fraction` if there is no warm-up."""
        unused = {"end_lr"} if not self.decays else set()
        if self.warmup_fraction == 0:
            unused.add("warmup_fraction")
        if self.rise_fraction == 0:
            unused.add("warmup_shape")
        return frozenset(unused)

    @property
    def momentum_levels(self) -> Levels | None:
        """The momenta that mirror the first, highest and last rate; None if momentum is not cycled."""
        return None

    @classmethod
    def fits_after_rise(cls, name: str, value: Any, rise_fraction: float) -> bool:
        """Whether a valid value of the parameter `name` also fits a schedule with this rise."""
        return True

    @classmethod
    def summary(cls) -> str:
        """The family in one line."""
        return (cls.__doc__ or "").strip().splitlines()[0]

    def require_closed_form(self) -> None:
        """Raises InvalidScheduleError if the rate depends on the training's metrics."""
        if self.adaptive:
            remedy = "Step its state with the metric while training, or choose another family."
            raise InvalidScheduleError(
                Fault(
                    "family", "is adaptive: its rates depend on a metric", "a closed-form family", self.family, remedy
                )
            )

    @abstractmethod
    def lr_at(self, progress: float) -> float:
        """The rate at a progress; before 0 it is `start_lr`, after 1 `end_lr`."""

    @abstractmethod
    def momentum_at(self, progress: float) -> float | None:
        """The momentum at a progress, None if the schedule does not cycle it."""

    @abstractmethod
    def lr_array(self, progress: Array) -> Array:
        """The rates at an array of progress values without NaN."""

    @abstractmethod
    def momentum_array(self, progress: Array) -> Array | None:
        """The momenta at an array of progress values, None if the schedule does not cycle momentum."""

    def lr(self, step: int, horizon: int) -> float:
        """The rate at a step of `horizon` steps, counted from 0; `end_lr` beyond the last step."""
        return self.lr_at(progress_at(step, horizon))

    def momentum(self, step: int, horizon: int) -> float | None:
        """The momentum at a step of `horizon` steps, counted from 0; None if the schedule does not cycle it."""
        return self.momentum_at(progress_at(step, horizon))

    def curve(self, horizon: int, max_points: int | None = None) -> Curve:
        """Rates at all steps, or at `max_points` evenly spaced ones that include the first and the last.

        A single point is the first step. Raises InvalidValueError for more than MAX_CURVE_POINTS points.
        """
        steps = spaced_steps(horizon, max_points)
        last = max(horizon - 1, 1)
        rates = tuple(self.lr_at(step / last) for step in steps)
        momenta = tuple(value for step in steps if (value := self.momentum_at(step / last)) is not None)
        return Curve(steps, rates, momenta or None)

    def curve_array(self, horizon: int, max_points: int | None = None) -> arrays.CurveArray:
        """The result of `curve` as numpy arrays, in a fraction of the time; needs numpy."""
        return arrays.curve_array(self, horizon, max_points)

    def to_dict(self) -> dict[str, Any]:
        """The flat JSON document that `schedule_from_dict` reads, without unset fields."""
        document: dict[str, Any] = {"family": self.family}
        for each in fields(self):
            value = getattr(self, each.name)
            unused = each.name == "warmup_shape" and self.rise_fraction == 0 and value == each.default
            if value is not None and not unused:
                document[each.name] = list(value) if isinstance(value, tuple) else value
        return document

    def _contradictions(self) -> Iterator[Fault]:
        """Contradictions between individually valid fields. Families add their own."""
        yield from rate_faults(self)


def known(progress: float) -> float:
    """The progress as a float. Raises InvalidValueError for NaN."""
    progress = float(progress)
    if math.isnan(progress):
        raise InvalidValueError(Fault("progress", "is not a number", "in [0, 1]", progress, "Give a number."))
    return progress

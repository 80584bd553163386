"""The search space: maps each point in a box of coordinates to a valid schedule.

A rate that must not exceed another is drawn as a position in [0, 1] between its range's low end and the
lower of its high end and that other rate. So every point in the box is a valid schedule, and none is
clamped or rejected, which would distort what the sampler learns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from lehr.errors import Fault, InvalidSpaceError
from lehr.schedules import FAMILIES, Plateau, Schedule
from lehr.schedules.documents import unknown_family
from lehr.space.coordinates import Coordinate, Value, label, own_coordinate
from lehr.space.equality import alike
from lehr.space.feasibility import family_faults, feasibility_faults
from lehr.space.overrides import Overrides, Values, normal_overrides, override_faults, searched, values_of
from lehr.space.ranges import (
    DEFAULT_END_LR,
    DEFAULT_START_LR,
    RATE,
    WARMUP_FRACTION,
    Range,
    log_point,
    log_position,
    range_faults,
)


@dataclass(frozen=True)
class Space:
    """Families and the ranges of their parameters. Create it with `Space.of`, which validates them."""

    families: tuple[str, ...]
    start_lr: Range
    end_lr: Range
    peak_lr: Range | None
    warmup_fraction: Range | None
    parameters: Overrides

    @classmethod
    def of(
        cls,
        *,
        families: Sequence[str] | None = None,
        start_lr: Range = DEFAULT_START_LR,
        end_lr: Range = DEFAULT_END_LR,
        peak_lr: Range | None = None,
        warmup_fraction: Range | None = None,
        parameters: Mapping[str, Mapping[str, Range | Sequence[Any]]] | None = None,
    ) -> Space:
        """The space of the given families, by default all searchable ones; always includes `constant`.

        Rates are drawn on log scales, above 0. `peak_lr` defaults to the range of `start_lr`. A
        `warmup_fraction` range, within [0, 1), adds a warm-up to every family except `constant` and
        those that climb by themselves. `parameters` overrides the ranges and choices of a family's own
        parameters: `{"polynomial": {"power": Range(1, 2)}, "wsd": {"cooldown": ["linear"]}}`.

        Raises InvalidSpaceError, with one fault for each invalid field.
        """
        parameters = {} if parameters is None else parameters
        faults = list(family_faults(families))
        faults += [*range_faults("start_lr", start_lr, RATE), *range_faults("end_lr", end_lr, RATE)]
        faults += range_faults("peak_lr", peak_lr, RATE) if peak_lr is not None else []
        faults += (
            range_faults("warmup_fraction", warmup_fraction, WARMUP_FRACTION) if warmup_fraction is not None else []
        )
        faults += override_faults(parameters)
        if faults:
            raise InvalidSpaceError(faults)
        chosen = tuple(families or (name for name, family in FAMILIES.items() if family.searchable))
        chosen = chosen if "constant" in chosen else ("constant", *chosen)
        space = cls(
            chosen,
            start_lr.normal(),
            end_lr.normal(),
            peak_lr and peak_lr.normal(),
            warmup_fraction and warmup_fraction.normal(),
            normal_overrides(parameters),
        )
        faults = list(feasibility_faults(space))
        if faults:
            raise InvalidSpaceError(faults)
        return space

    def rises(self, family: str) -> bool:
        """Whether the family's schedules climb to a peak in this space: by themselves, or by a warm-up."""
        return FAMILIES[family].climbs or self.warms_up(family)

    def warms_up(self, family: str) -> bool:
        """Whether the space's `warmup_fraction` applies to the family."""
        cls = FAMILIES[family]
        return cls.decays and not cls.climbs and self.warmup_fraction is not None and self.warmup_fraction.high > 0

    def top_lr(self, family: str) -> Range:
        """The range of the family's highest rate. Empty, with low above high, if no rate fits."""
        least_end = self.end_lr.low if FAMILIES[family].decays else 0.0
        if not self.rises(family):
            return Range(max(self.start_lr.low, least_end), self.start_lr.high).normal()
        peak = self.peak_lr or self.start_lr
        return Range(max(peak.low, self.start_lr.low, least_end), peak.high).normal()

    def own_values(self, family: str) -> dict[str, Values]:
        """The ranges and choices of the family's own parameters."""
        latest_rise = self.warmup_fraction.high if self.warmup_fraction and self.warms_up(family) else 0.0
        return values_of(FAMILIES[family], self.parameters, latest_rise)

    def drawn(self, family: str) -> dict[str, Values]:
        """The range or choices of each field of the family's schedules; empty for a family outside the space."""
        if family not in self.families:
            return {}
        top = "peak_lr" if self.rises(family) else "start_lr"
        drawn: dict[str, Values] = {"start_lr": self.start_lr, top: self.top_lr(family), **self.own_values(family)}
        if FAMILIES[family].decays:
            drawn["end_lr"] = self.end_lr
        if self.warmup_fraction is not None and self.warms_up(family):
            drawn["warmup_fraction"] = self.warmup_fraction
        return drawn

    def followed_metrics(self) -> dict[str, tuple[str, ...]]:
        """The metrics that schedules of the space's adaptive families follow, by family."""
        followed = {}
        for name in self.families:
            if issubclass(kind := FAMILIES[name], Plateau):
                metrics = self.own_values(name).get("metric", (kind.metric,))
                assert isinstance(metrics, tuple)  # a range cannot contain names
                followed[name] = metrics
        return followed

    def coordinates(self, family: str) -> tuple[Coordinate, ...]:
        """The family's axes that have more than one value."""
        return tuple(each for each in self._axes(family) if not each.is_fixed)

    def schedule(self, family: str, point: Mapping[str, Value]) -> Schedule:
        """The schedule at a point, which has a value within the bounds for each of `coordinates(family)`.

        Raises InvalidSpaceError if a coordinate is missing, unknown or out of bounds.
        """
        values = self._read(family, point)
        own = {name: self._unlabel(family, name, values[f"{family}.{name}"]) for name in self.own_values(family)}
        rates: dict[str, Any] = (
            self._rising_rates(family, values) if self.rises(family) else self._falling_rates(family, values)
        )
        return FAMILIES[family](**{**rates, **own})

    def point(self, schedule: Schedule) -> dict[str, Value]:
        """The point of a schedule; the inverse of `schedule`, within rounding.

        Raises InvalidSpaceError if the schedule is outside the space.
        """
        family = schedule.family
        if family not in self.families:
            raise InvalidSpaceError(
                Fault("family", "is not in the space", "one of " + ", ".join(self.families), family, "Choose another.")
            )
        point = self.nearest(schedule)
        faults = _differences(schedule, self.schedule(family, point))
        if faults:
            raise InvalidSpaceError(faults)
        return point

    def nearest(self, schedule: Schedule) -> dict[str, Value]:
        """The point nearest to a schedule of one of the space's families, with the nearest value on each axis."""
        wanted = self._coordinates_of(schedule)
        return {each.name: each.nearest(wanted[each.name]) for each in self.coordinates(schedule.family)}

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of the space, with all defaults except those of `peak_lr` and `warmup_fraction`."""
        return {
            "families": list(self.families),
            "start_lr": self.start_lr.to_dict(),
            "end_lr": self.end_lr.to_dict(),
            "peak_lr": self.peak_lr and self.peak_lr.to_dict(),
            "warmup_fraction": self.warmup_fraction and self.warmup_fraction.to_dict(),
            "parameters": {
                family: {name: _values_document(values) for name, values in own.items()}
                for family, own in self.parameters.items()
            },
        }

    def _axes(self, family: str) -> list[Coordinate]:
        """All axes of a family, including those with a single value."""
        if family not in self.families:
            raise InvalidSpaceError(unknown_family("family", family))
        cls, top, rises = FAMILIES[family], self.top_lr(family), self.rises(family)
        axes = [Coordinate("peak_lr" if rises else "start_lr", "float", top.low, top.high, log=True)]
        if rises:
            axes.append(_position("start_position", self.start_lr))
        if cls.decays:
            axes.append(_position("end_position", self.end_lr))
        if self.warms_up(family) and self.warmup_fraction is not None:
            axes.append(Coordinate("warmup_fraction", "float", self.warmup_fraction.low, self.warmup_fraction.high))
        own = searched(cls)
        return axes + [own_coordinate(family, name, own[name], each) for name, each in self.own_values(family).items()]

    def _read(self, family: str, point: Mapping[str, Value]) -> dict[str, Any]:
        """The value on each axis of the family. Axes with a single value may be missing from `point`."""
        axes = {each.name: each for each in self._axes(family)}
        faults = [
            Fault(name, "is not a coordinate", "one of " + ", ".join(axes), value, "Leave it out.")
            for name, value in point.items()
            if name not in axes
        ]
        values: dict[str, Any] = {}
        for name, axis in axes.items():
            only = (axis.choices[0] if axis.kind == "choice" else axis.low) if axis.is_fixed else None
            value = axis.read(point.get(name, only))
            if isinstance(value, Fault):
                faults.append(value)
            values[name] = value
        if faults:
            raise InvalidSpaceError(faults)
        return values

    def _falling_rates(self, family: str, values: Mapping[str, float]) -> dict[str, float]:
        return {"start_lr": values["start_lr"], "end_lr": self._end(family, values, values["start_lr"])}

    def _rising_rates(self, family: str, values: Mapping[str, float]) -> dict[str, float]:
        peak, warmup = values["peak_lr"], values.get("warmup_fraction")
        if warmup == 0:  # no warm-up: the schedule starts as near to its top as the range of start_lr allows
            start = min(peak, self.start_lr.high)
            return {"start_lr": start, "end_lr": self._end(family, values, start)}
        start = log_point(self.start_lr.low, min(self.start_lr.high, peak), values["start_position"])
        rates = {"start_lr": start, "peak_lr": peak, "end_lr": self._end(family, values, peak)}
        return rates if warmup is None else {**rates, "warmup_fraction": warmup}

    def _end(self, family: str, values: Mapping[str, float], top: float) -> float:
        if not FAMILIES[family].decays:
            return top
        return log_point(self.end_lr.low, min(self.end_lr.high, top), values["end_position"])

    def _unlabel(self, family: str, name: str, value: Value) -> Any:
        values, parameter = self.own_values(family)[name], searched(FAMILIES[family])[name]
        if isinstance(values, Range):
            return value
        return next(each for each in values if label(parameter, each) == value)

    def _coordinates_of(self, schedule: Schedule) -> dict[str, Any]:
        """The schedule's value on each axis, possibly out of bounds."""
        family, top = schedule.family, schedule.max_lr
        own = searched(FAMILIES[family])
        return {
            "start_lr": top,
            "peak_lr": top,
            "start_position": log_position(self.start_lr.low, min(self.start_lr.high, top), schedule.start_lr),
            "end_position": log_position(self.end_lr.low, min(self.end_lr.high, top), schedule.end_lr),
            "warmup_fraction": schedule.warmup_fraction,
            **{f"{family}.{name}": label(own[name], getattr(schedule, name)) for name in self.own_values(family)},
        }


def _position(name: str, range_: Range) -> Coordinate:
    """A position on a log axis whose top depends on the highest rate; fixed if its range has a single value."""
    return Coordinate(name, "float", 0.0, 0.0 if range_.low == range_.high else 1.0)


def _values_document(values: Values) -> dict[str, float] | list[Any]:
    if isinstance(values, Range):
        return values.to_dict()
    return [list(value) if isinstance(value, tuple) else value for value in values]


def _differences(wanted: Schedule, nearest: Schedule) -> list[Fault]:
    """A fault for each field in which the space's nearest schedule differs by more than rounding."""
    return [
        Fault(each.name, "lies outside the space", f"the nearest there is {found!r}", value, "Choose one inside.")
        for each in fields(wanted)
        if not alike(value := getattr(wanted, each.name), found := getattr(nearest, each.name))
    ]

"""The family `piecewise`: rates at knots, with straight lines or a smooth curve between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from lehr.errors import Fault
from lehr.schedules.elementwise import reached, take
from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.interpolation import Levels, linear, reached_code
from lehr.schedules.monotone import hermite_ends
from lehr.schedules.parameters import parameter

CUBIC = (
    "value = before * ((1 + 2 * z) * (1 - z) ** 2) + after * (z * z * (3 - 2 * z))"
    " + begins[k] * (z * (1 - z) ** 2) - ends[k] * (z * z * (1 - z))"
)


@dataclass(frozen=True, kw_only=True)
class Piecewise(Shaped):
    """Goes through the rates given at knots: by straight lines, or by a cubic that never overshoots.

    Between two neighbours (p0, y0) and (p1, y1) of the points (w, top), (knots, rates), (1, end), with
    z = (p - p0) / (p1 - p0), lr(z) = y0 (1 - z) + y1 z, or the cubic Hermite polynomial with the slopes of
    Fritsch and Butland at the points (`monotone_cubic`): it is smooth and has no extremum between two points.
    The rates at knots may be above start_lr and below end_lr.

    >>> schedule = Piecewise(start_lr=0.5, end_lr=0.0, knots=(0.25, 0.5), rates=(1.0, 0.25))
    >>> [schedule.lr_at(p) for p in (0, 0.25, 0.75)]
    [0.5, 1.0, 0.125]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "piecewise"
    formula: ClassVar[str] = "y0 (1 - z) + y1 z between the neighbours (p0, y0), (p1, y1), or a monotone cubic there"
    source: ClassVar[str] = (
        "the cubic: Fritsch and Butland 1984, A method for constructing local monotone piecewise cubic interpolants,"
        " doi 10.1137/0905021; scipy's PchipInterpolator"
    )
    searchable: ClassVar[bool] = False
    drawable: ClassVar[bool] = False

    knots: tuple[float, ...] = parameter(
        "floats",
        "the fractions of the horizon at which rates are given, increasing",
        default=(),
        low=0.0,
        high=1.0,
        open_low=True,
        open_high=True,
        shortest=0,
    )
    rates: tuple[float, ...] = parameter(
        "floats", "the rate at each knot", default=(), low=0.0, shortest=0, increases=False
    )
    interpolation: Literal["linear", "monotone_cubic"] = parameter(
        "choice", "what joins the points", default="linear", choices=("linear", "monotone_cubic")
    )

    @property
    def max_lr(self) -> float:
        return self._limits(self.levels)[1]

    @property
    def unused_fields(self) -> frozenset[str]:
        return super().unused_fields | ({"interpolation"} if not self.knots else set())

    @classmethod
    def fits_after_rise(cls, name: str, value: Any, rise_fraction: float) -> bool:
        return name != "knots" or not value or bool(value[0] > rise_fraction)

    def _limits(self, levels: Levels) -> tuple[float, float]:
        return min((*levels, *self.rates)), max((*levels, *self.rates))

    def _points(self, levels: Levels) -> tuple[list[float], list[float]]:
        return [self.rise_fraction, *self.knots, 1.0], [levels.top, *self.rates, levels.last]

    def _body(self, progress: float, levels: Levels) -> float:
        at, rates = self._points(levels)
        k = reached(progress, at[1:-1])
        z = (progress - take(at, k)) / (take(at, k + 1) - take(at, k))
        before, after = take(rates, k), take(rates, k + 1)
        if self.interpolation == "linear":
            return linear(before, after, z)
        begins, ends = hermite_ends(at, rates)
        value = before * ((1 + 2 * z) * (1 - z) ** 2) + after * (z * z * (3 - 2 * z))
        return value + take(begins, k) * (z * (1 - z) ** 2) - take(ends, k) * (z * z * (1 - z))

    def _body_code(self, levels: Levels) -> list[str]:
        at, rates = self._points(levels)
        lines = [
            f"at = {tuple(at)!r}",
            f"rates = {tuple(rates)!r}",
            f"k = {reached_code('progress', at[1:-1])}",
            "z = (progress - at[k]) / (at[k + 1] - at[k])",
            "before, after = rates[k], rates[k + 1]",
        ]
        if self.interpolation == "linear":
            return [*lines, "value = before * (1 - z) + after * z"]
        begins, ends = hermite_ends(at, rates)
        return [*lines, f"begins = {tuple(begins)!r}", f"ends = {tuple(ends)!r}", CUBIC]

    def _contradictions(self) -> Iterator[Fault]:
        for fault in super()._contradictions():
            if fault.field != "start_lr" or not any(self.rates):  # a rate of 0 may lead to a knot
                yield fault
        if len(self.rates) != len(self.knots):
            yield Fault(
                "rates",
                "are not as many as the knots",
                f"{len(self.knots)} rates",
                self.rates,
                "Give one rate for each knot.",
            )
        if not self.fits_after_rise("knots", self.knots, self.rise_fraction):
            yield Fault(
                "knots",
                "begin within the warm-up",
                f"> {self.rise_fraction!r}",
                self.knots,
                "Begin after the warm-up, or shorten it.",
            )

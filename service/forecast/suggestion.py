"""Suggests the schedule with the lowest final loss by the law."""

from __future__ import annotations

import random
from collections.abc import Iterator

from lehr.schedules import Schedule
from lehr.space import Space
from service.forecast.fitted_curves import rates_of
from service.forecast.forecaster import Forecast, Forecaster
from service.search.observations import Point, draw_seed
from service.search.sequence import from_unit, spread_point, to_unit

DRAWS = 40
"""How many schedules of each family are drawn."""
MOVES = 120
"""How many random steps are tried from the best of them."""
REACH = 0.15
"""The standard deviation of a step, as a fraction of each axis."""


def suggest(forecaster: Forecaster, space: Space) -> tuple[Schedule, Forecast] | None:
    """The best schedule of the space by the law, among those whose highest rate is at most that of a good training.

    The law cannot predict that a rate is too high, so it is not used for higher rates. A random search, then random
    steps from its best point; deterministic. None if no schedule qualifies.
    """
    best = min(_drawn(forecaster, space), key=lambda drawn: drawn[0], default=None)
    if best is None:
        return None
    value, family, point = best
    generator = random.Random(draw_seed("law", family))
    for _ in range(MOVES):
        moved = _moved(space, family, point, generator)
        end = _end(forecaster, space.schedule(family, moved))
        if end is not None and end < value:
            value, point = end, moved
    schedule = space.schedule(family, point)
    foreseen = forecaster.foresee(*rates_of(schedule, forecaster.horizon))
    return (schedule, foreseen) if isinstance(foreseen, Forecast) else None


def _drawn(forecaster: Forecaster, space: Space) -> Iterator[tuple[float, str, Point]]:
    for family in space.families:
        for index in range(DRAWS):
            point = spread_point(space.coordinates(family), index, 0, family)
            end = _end(forecaster, space.schedule(family, point))
            if end is not None:
                yield end, family, point


def _end(forecaster: Forecaster, schedule: Schedule) -> float | None:
    if schedule.adaptive or not forecaster.lowest <= schedule.max_lr <= forecaster.steady:
        return None
    return forecaster.end(*rates_of(schedule, forecaster.horizon))


def _moved(space: Space, family: str, point: Point, generator: random.Random) -> Point:
    moved: dict[str, float | int | str] = {}
    for axis in space.coordinates(family):
        if axis.kind == "choice":
            moved[axis.name] = point[axis.name]
            continue
        unit = to_unit(axis, point[axis.name]) + generator.gauss(0, REACH)
        moved[axis.name] = from_unit(axis, min(max(unit, 0.0), 1 - 1e-9))
    return moved

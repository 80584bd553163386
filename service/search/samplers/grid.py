"""The sampler `grid`: a grid over the conditional space with about as many points as the budget has trials."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence

from lehr.space import Coordinate, Space
from lehr.wire.studies import Direction
from service.search.observations import Observation, Point
from service.search.samplers.base import SearchView
from service.search.samplers.qmc import QmcSampler
from service.search.sequence import from_unit, point_key


class GridSampler(QmcSampler):
    """Draws the grid's points one by one, except those already tried; after the last one, works like `qmc`."""

    def __init__(self, space: Space, direction: Direction, seed: int, budget: int) -> None:
        super().__init__(space, direction, seed, budget)
        self._left = {point_key(family, point): (family, point) for family, point in grid_points(space, budget, seed)}
        self._order = {key: place for place, key in enumerate(self._left)}
        self._grid = dict(self._left)

    def draw(self, view: SearchView) -> tuple[str, Point]:
        first = next(iter(self._left.values()), None)
        return first if first is not None else super().draw(view)

    def record(self, observation: Observation) -> None:
        if observation.point is not None:
            self._left.pop(point_key(observation.family, observation.point), None)

    def forget(self, observation: Observation) -> None:
        key = point_key(observation.family, observation.point or {})
        if key in self._grid:
            self._left[key] = self._grid[key]
            self._left = dict(sorted(self._left.items(), key=lambda item: self._order[item[0]]))


def grid_points(space: Space, points: int, seed: int) -> list[tuple[str, Point]]:
    """Every point of the grid once, taking the families in turn, with each family's points in random order.

    Each family gets an equal share of `points`; within it, the coordinates get numbers of levels as equal
    as the share allows, earlier coordinates (the rates) first. Numeric levels are at the ends of the range
    and evenly between, on the coordinate's scale. The random order makes an unfinished grid cover the
    whole space.
    """
    share = max(1, points // len(space.families))
    columns = []
    for family in space.families:
        column = [(family, point) for point in _family_grid(space.coordinates(family), share)]
        random.Random(f"{seed}:{family}").shuffle(column)
        columns.append(column)
    rows = itertools.zip_longest(*columns)
    return [entry for row in rows for entry in row if entry is not None]


def levels(coordinates: Sequence[Coordinate], points: int) -> list[int]:
    """The number of levels for each coordinate, at least 1, such that their product is at most `points`."""
    counts = [1] * len(coordinates)
    most = [_most_levels(coordinate) for coordinate in coordinates]
    while True:
        total = math.prod(counts)
        growing = [
            index
            for index, count in enumerate(counts)
            if count < most[index] and total // count * (count + 1) <= points
        ]
        if not growing:
            return counts
        counts[min(growing, key=lambda index: (counts[index], index))] += 1


def _family_grid(coordinates: Sequence[Coordinate], points: int) -> Iterator[Point]:
    axes = [_axis(one, count) for one, count in zip(coordinates, levels(coordinates, points), strict=True)]
    for values in itertools.product(*axes):
        yield {one.name: value for one, value in zip(coordinates, values, strict=True)}


def _most_levels(coordinate: Coordinate) -> float:
    if coordinate.kind == "choice":
        return len(coordinate.choices)
    if coordinate.kind == "int":
        return int(coordinate.high) - int(coordinate.low) + 1
    return math.inf


def _axis(coordinate: Coordinate, count: int) -> list[float | int | str]:
    """`count` levels of a coordinate; a single level is its middle."""
    if coordinate.kind == "float" and count > 1:
        return [from_unit(coordinate, index / (count - 1)) for index in range(count)]
    return [from_unit(coordinate, (index + 0.5) / count) for index in range(count)]

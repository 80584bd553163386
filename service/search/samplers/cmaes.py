"""The sampler `cmaes`: CMA-ES in each family."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lehr.space import Coordinate
from service.search.observations import Observation, Point, draw_seed
from service.search.samplers.base import SearchView
from service.search.samplers.within_family import WithinFamilySampler, penalised
from service.search.sequence import from_unit, random_point, to_unit
from service.search.window import Window, WindowSize


class CmaesSampler(WithinFamilySampler):
    """Runs CMA-ES in each family with at least two numeric coordinates."""

    family_window = WindowSize(best=0, newest=500, spread=0)

    def _can_search(self, coordinates: tuple[Coordinate, ...]) -> bool:
        return len(_numeric(coordinates)) >= 2

    def _draw_point(self, family: str, window: Window, view: SearchView) -> Point:
        coordinates, results = self._space.coordinates(family), tuple(window)
        # Drop only whole generations from the window, so that each generation keeps the same trials.
        size = generation_size(len(_numeric(coordinates)))
        results = results[-(window.added - len(results)) % size :]
        return draw_cmaes(
            coordinates,
            results,
            losses=penalised(results, self._direction),
            number=view.number,
            seed=draw_seed(family, self._seed),
        )


def draw_cmaes(
    coordinates: Sequence[Coordinate],
    results: Sequence[Observation],
    *,
    losses: dict[int, float],
    number: int,
    seed: int,
) -> Point:
    """A draw by CMA-ES in the unit box of the family's numbers; choices are drawn uniformly.

    The results, lowest number first, are its generations: the first sets the mean, and each further complete one
    updates the state. So the state depends on the results alone and needs no storage. Needs at least two numeric
    coordinates. Source: Hansen, The CMA evolution strategy: a tutorial,
    arXiv 1604.00772.
    """
    import cmaes

    numeric = _numeric(coordinates)
    size = generation_size(len(numeric))
    points = [np.array([to_unit(one, (result.point or {})[one.name]) for one in numeric]) for result in results]
    values = [losses[result.number] for result in results]
    mean = min(zip(values[:size], map(tuple, points[:size]), strict=True), default=(0.0, (0.5,) * len(numeric)))[1]
    bounds = np.array([[0.0, 1.0]] * len(numeric))
    optimizer = cmaes.CMA(
        mean=np.array(mean),
        sigma=1 / 6,
        bounds=bounds,
        population_size=size,
        seed=draw_seed("cmaes", seed),
        n_max_resampling=10 * len(numeric),
    )
    for start in range(size, len(results) - size + 1, size):
        optimizer.tell(list(zip(points[start : start + size], values[start : start + size], strict=True)))
    return _cmaes_point(coordinates, numeric, optimizer, draw_seed("cmaes", seed, number))


def generation_size(dimension: int) -> int:
    """Number of results in a generation: 4 + 3 ln(dimension), Hansen's default."""
    return 4 + math.floor(3 * math.log(dimension))


def _cmaes_point(coordinates: Sequence[Coordinate], numeric: Sequence[Coordinate], optimizer: Any, seed: int) -> Point:
    point = random_point(coordinates, seed)
    if optimizer.should_stop():  # converged: another draw would repeat known results
        return point
    optimizer.reseed_rng(seed)
    drawn = optimizer.ask()
    for one, unit in zip(numeric, drawn, strict=True):
        point[one.name] = from_unit(one, min(max(float(unit), 0.0), 1.0))
    return point


def _numeric(coordinates: Sequence[Coordinate]) -> list[Coordinate]:
    return [one for one in coordinates if one.kind != "choice"]

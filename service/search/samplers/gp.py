"""The sampler `gp`: Optuna's Gaussian process in each family."""

from __future__ import annotations

from lehr.space import Coordinate
from service.search import optuna_study
from service.search.observations import Point, draw_seed
from service.search.samplers.base import SearchView
from service.search.samplers.within_family import WithinFamilySampler, penalised
from service.search.window import Window, WindowSize


class GpSampler(WithinFamilySampler):
    """Draws the point of highest expected improvement, with the running trials as part of the batch."""

    most_at_once = 4
    """Each draw takes about a second."""
    family_window = WindowSize(best=40, newest=40, spread=40)
    """The cost grows with the cube of this number."""
    packages = ("torch", "scipy")

    def _can_search(self, coordinates: tuple[Coordinate, ...]) -> bool:
        return bool(coordinates)

    def _draw_point(self, family: str, window: Window, view: SearchView) -> Point:
        coordinates, results = self._space.coordinates(family), tuple(window)
        losses = penalised(results, self._direction)
        space = {one.name: optuna_study.distribution(one) for one in coordinates}
        trials = [
            optuna_study.complete(one.number, dict(one.point or {}), space, losses[one.number]) for one in results
        ]
        pending = [one for one in view.pending if one.family == family]
        trials += [optuna_study.running(one.number, dict(one.point or {}), space) for one in pending]
        drawn = optuna_study.draw_gp(trials, space, view.number, draw_seed("gp", self._seed, view.number))
        return {one.name: one.nearest(drawn[one.name]) for one in coordinates}

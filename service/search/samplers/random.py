"""The sampler `random`: points drawn uniformly, the baseline for every other sampler."""

from __future__ import annotations

from service.search.observations import Point, draw_seed
from service.search.samplers.base import Sampler, SearchView
from service.search.sequence import random_point


class RandomSampler(Sampler):
    """Takes the families in turn at first and then at random; points are always uniformly random."""

    def draw(self, view: SearchView) -> tuple[str, Point]:
        seed = draw_seed("random", self._seed, view.number)
        families = self._space.families
        family = view.due_family or families[draw_seed("family", seed) % len(families)]
        return family, random_point(self._space.coordinates(family), seed)

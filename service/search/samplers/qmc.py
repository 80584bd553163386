"""The sampler `qmc`: quasi-Monte Carlo, an even spread over the space."""

from __future__ import annotations

from service.search.observations import Point
from service.search.samplers.base import Sampler, SearchView


class QmcSampler(Sampler):
    """Takes the families in turn, each along its own low-discrepancy sequence, until the budget is spent."""

    def draw(self, view: SearchView) -> tuple[str, Point]:
        order = sorted(self._space.families, key=lambda family: family != "constant")
        return self.spread(min(order, key=lambda family: view.asked[family]), view)

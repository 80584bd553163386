"""Base class of samplers that search each family's box of coordinates separately.

Neither a Gaussian process nor CMA-ES handles a conditional space, so TPE draws the family, and each family has its own
search. Both need a number for every trial; `penalised` assigns one to trials without a value.
"""

from __future__ import annotations

import statistics
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from lehr.space import Coordinate
from lehr.wire.base import LARGEST_VALUE
from lehr.wire.studies import Direction
from service.search.gaussian_process import loss_cap
from service.search.observations import Observation, Point, as_loss
from service.search.samplers.base import SearchView
from service.search.samplers.tpe import TpeSampler
from service.search.window import Window

CAP = 4.0
"""Losses are capped at the best plus this many times the distance from there to the median."""
FEWEST_RESULTS = 2
"""With fewer results a family follows its low-discrepancy sequence."""


class WithinFamilySampler(TpeSampler):
    """Searches within the family that TPE draws."""

    def draw(self, view: SearchView) -> tuple[str, Point]:
        family = view.due_family or self._model.draw_family(view.results, view.pending, view.number)
        coordinates = self._space.coordinates(family)
        if not self._can_search(coordinates):
            return self._model.draw(view.results, view.pending, view.number, family)
        window = view.family_windows[family]
        if window.added < FEWEST_RESULTS:
            return self.spread(family, view)
        return family, self._draw_point(family, window, view)

    @abstractmethod
    def _can_search(self, coordinates: tuple[Coordinate, ...]) -> bool:
        """Whether the sampler can search these coordinates; if not, TPE does."""

    @abstractmethod
    def _draw_point(self, family: str, window: Window, view: SearchView) -> Point:
        """A point of the family, from its results."""


def penalised(results: Sequence[Observation], direction: Direction) -> dict[int, float]:
    """A finite loss for each result by number; less is better.

    COMPLETED: its value. PRUNED: its last report, but at best the median of the completed ones.
    With violated constraints: worse than the worst feasible one, by the size of the violation. DIVERGED: as bad as the
    worst of these. Losses far above the median are capped, because a single enormous one would flatten everything else
    for a Gaussian process; so are losses beyond LARGEST_VALUE, which databases of older servers contain.
    """
    losses = {
        one.number: min(max(as_loss(one.value, direction), -LARGEST_VALUE), LARGEST_VALUE)
        for one in results
        if one.value is not None and one.state == "COMPLETED" and not one.broken
    }
    if not losses:
        return {one.number: one.broken or (0.0 if one.state == "PRUNED" else 1.0) for one in results}
    known = np.array(list(losses.values()))
    best, middle, cap = min(losses.values()), statistics.median(losses.values()), loss_cap(known, CAP)
    losses = {number: min(loss, cap) for number, loss in losses.items()}
    worst = max(losses.values())
    for one in results:
        if one.state == "PRUNED":
            last = as_loss(one.reports[-1][1], direction) if one.reports else worst
            losses[one.number] = min(max(last, middle), max(worst, middle))
        elif one.broken or one.state == "DIVERGED":
            losses[one.number] = worst + (worst - best) / 4 * (one.broken or 1.0)
    return losses

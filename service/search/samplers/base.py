"""Base class of samplers, which draw the next family and point from a view of the search."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from lehr.space import Space
from lehr.wire.studies import Direction
from service.search.observations import Observation, Point
from service.search.sequence import spread_point
from service.search.window import Window, WindowSize


@dataclass(frozen=True)
class SearchView:
    """What a sampler can see of the search when it draws trial `number`."""

    number: int
    asked: Mapping[str, int]
    """The number of trials of each family so far."""
    due_family: str | None
    """The family that must come next, whatever the sampler prefers; None if it can choose."""
    results: tuple[Observation, ...]
    """Informative results with points, thinned out if there are many, lowest number first."""
    pending: tuple[Observation, ...]
    family_windows: Mapping[str, Window]
    """Results by family, for samplers with a `family_window`."""


class Sampler(ABC):
    """Draws points. A draw depends on these arguments and the view, never on earlier draws."""

    learns: ClassVar[bool] = False
    """Whether it fits a model to results. If so, the search spreads its start-up trials evenly instead of asking the
    sampler, and a study whose budget is mostly start-up gets a warning."""

    most_at_once: ClassVar[float] = math.inf
    """Maximum number of trials that it draws per claim; `draw_quickly` draws the rest. A count instead of a time, so
    that a search repeated with the same seed draws the same schedules on a slower machine."""

    family_window: ClassVar[WindowSize | None] = None
    """The number of results of each family that it needs, if it searches within families."""

    packages: ClassVar[tuple[str, ...]] = ()
    """Packages that it imports and that are not installed with the server by default."""

    def __init__(self, space: Space, direction: Direction, seed: int, budget: int) -> None:
        self._space = space
        self._direction = direction
        self._seed = seed
        self._budget = budget

    @abstractmethod
    def draw(self, view: SearchView) -> tuple[str, Point]:
        """The family and the point to try next."""

    def draw_quickly(self, view: SearchView) -> tuple[str, Point]:
        """The same within milliseconds, with another method if `draw` takes longer."""
        return self.draw(view)

    def record(self, observation: Observation) -> None:  # noqa: B027 (most samplers keep no record of their own)
        """Record a trial that is new, or that ended."""

    def forget(self, observation: Observation) -> None:  # noqa: B027
        """Undo a trial that was drawn but never created."""

    def spread(self, family: str, view: SearchView) -> tuple[str, Point]:
        """The next point of the family's low-discrepancy sequence."""
        coordinates = self._space.coordinates(family)
        return family, spread_point(coordinates, view.asked[family], self._seed, family)

"""What every sampler is: it draws the next family and point from a view of the search."""

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
    """How many trials of each family exist so far."""
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
    """How many trials of one claim it draws; `draw_quickly` draws the rest. A count rather than a time, so that a
    search repeated with its seed asks for the same schedules on a slower machine."""

    family_window: ClassVar[WindowSize | None] = None
    """How many results of each family it needs, if it searches within families."""

    packages: ClassVar[tuple[str, ...]] = ()
    """Packages it imports that the server does not install by itself."""

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

    def told(self, observation: Observation) -> None:  # noqa: B027 (most samplers keep no record of their own)
        """Take note of a trial that is new, or that ended."""

    def forgotten(self, observation: Observation) -> None:  # noqa: B027
        """Take back a trial that was drawn but never created."""

    def spread(self, family: str, view: SearchView) -> tuple[str, Point]:
        """The next point of the family's low-discrepancy sequence."""
        coordinates = self._space.coordinates(family)
        return family, spread_point(coordinates, view.asked[family], self._seed, family)

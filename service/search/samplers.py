"""The samplers by name: each draws the next family and point from a view of the search."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from lehr.errors import Fault
from lehr.space import Coordinate, Space
from lehr.wire.studies import Direction
from service.search import evolution, optuna_study
from service.search.grid import grid_points
from service.search.observations import Observation, Point, draw_seed
from service.search.parzen import ParzenModel
from service.search.sequence import point_key, random_point, spread_point
from service.search.surrogate import CandidateSpace, SurrogateModel
from service.search.window import Window


@dataclass(frozen=True)
class SearchView:
    """What a sampler may look at when trial `number` is asked."""

    number: int
    asked: Mapping[str, int]
    """How many trials of each family were asked for or told so far."""
    due_family: str | None
    """The family that is due by the rules of start-up and baseline."""
    in_startup: bool
    results: tuple[Observation, ...]
    """Informative results with points, thinned out when there are many, lowest number first."""
    pending: tuple[Observation, ...]
    family_windows: Mapping[str, Window]
    """Results by family, for samplers that search within one."""


class Sampler(ABC):
    """Draws points. Its draws depend on its arguments and the view, never on earlier draws."""

    most_at_once: float = math.inf
    """How many trials of one claim it draws; the rest are drawn quickly. A count and not a time, so that a search
    that is repeated with its seed asks for the same schedules on a slower machine."""

    def __init__(
        self, space: Space, direction: Direction, seed: int, budget: int, candidate_space: CandidateSpace | None = None
    ) -> None:
        self._space = space
        self._candidate_space = candidate_space
        self._direction = direction
        self._seed = seed
        self._budget = budget

    @abstractmethod
    def draw(self, view: SearchView) -> tuple[str, Point]:
        """The family and the point to try next."""

    def draw_quickly(self, view: SearchView) -> tuple[str, Point]:
        """The same in milliseconds, by another sampler where this one takes longer."""
        return self.draw(view)

    def told(self, observation: Observation) -> None:  # noqa: B027 (most samplers keep no account of their own)
        """A trial was seen for the first time, or ended."""

    def forgotten(self, observation: Observation) -> None:  # noqa: B027
        """A trial that was asked was never made."""

    def _spread(self, family: str, view: SearchView) -> tuple[str, Point]:
        """The next point of the family's low-discrepancy sequence."""
        coordinates = self._space.coordinates(family)
        return family, spread_point(coordinates, view.asked[family], self._seed, family)


class RandomSampler(Sampler):
    """Families in turn at first and then at random; points always evenly at random."""

    def draw(self, view: SearchView) -> tuple[str, Point]:
        seed = draw_seed("random", self._seed, view.number)
        families = self._space.families
        family = view.due_family or families[draw_seed("family", seed) % len(families)]
        return family, random_point(self._space.coordinates(family), seed)


class QmcSampler(Sampler):
    """Families in turn, each along a low-discrepancy sequence of its own, to the end of the budget."""

    def draw(self, view: SearchView) -> tuple[str, Point]:
        order = sorted(self._space.families, key=lambda family: family != "constant")
        return self._spread(min(order, key=lambda family: view.asked[family]), view)


class GridSampler(QmcSampler):
    """The grid's points one by one, those that were tried left out; once it is used up, as `qmc`."""

    def __init__(
        self, space: Space, direction: Direction, seed: int, budget: int, candidate_space: CandidateSpace | None = None
    ) -> None:
        super().__init__(space, direction, seed, budget, candidate_space)
        self._left = {point_key(family, point): (family, point) for family, point in grid_points(space, budget, seed)}
        self._order = {key: place for place, key in enumerate(self._left)}
        self._grid = dict(self._left)

    def draw(self, view: SearchView) -> tuple[str, Point]:
        first = next(iter(self._left.values()), None)
        return first if first is not None else super().draw(view)

    def told(self, observation: Observation) -> None:
        if observation.point is not None:
            self._left.pop(point_key(observation.family, observation.point), None)

    def forgotten(self, observation: Observation) -> None:
        key = point_key(observation.family, observation.point or {})
        if key in self._grid:
            self._left[key] = self._grid[key]
            self._left = dict(sorted(self._left.items(), key=lambda item: self._order[item[0]]))


class TpeSampler(Sampler):
    """Tree-structured Parzen estimators over families and their points; see `parzen`."""

    @cached_property
    def _model(self) -> ParzenModel:
        return ParzenModel(self._space, self._direction, self._seed)

    def draw(self, view: SearchView) -> tuple[str, Point]:
        if view.in_startup and view.due_family is not None:
            return self._spread(view.due_family, view)
        return self._model.draw(view.results, view.pending, view.number, view.due_family)

    def draw_quickly(self, view: SearchView) -> tuple[str, Point]:
        return TpeSampler.draw(self, view)


class FamilySampler(TpeSampler):
    """A continuous sampler in each family's own space, the family drawn by TPE.

    A family with too few results goes along its low-discrepancy sequence first.
    """

    def draw(self, view: SearchView) -> tuple[str, Point]:
        if view.in_startup and view.due_family is not None:
            return self._spread(view.due_family, view)
        family = view.due_family or self._model.draw_family(view.results, view.pending, view.number)
        coordinates = self._space.coordinates(family)
        if not self._suits(coordinates):
            return self._model.draw(view.results, view.pending, view.number, family)
        window = view.family_windows[family]
        if window.added < self._least(coordinates):
            return self._spread(family, view)
        return family, self._draw_point(family, window, view)

    @abstractmethod
    def _suits(self, coordinates: tuple[Coordinate, ...]) -> bool:
        """Whether the sampler can search these coordinates at all; where not, TPE does."""

    @abstractmethod
    def _least(self, coordinates: tuple[Coordinate, ...]) -> int:
        """How many results it needs."""

    @abstractmethod
    def _draw_point(self, family: str, window: Window, view: SearchView) -> Point:
        """A point of the family from its results."""


class GpSampler(FamilySampler):
    """A Gaussian process in each family; running trials are part of the batch."""

    most_at_once = 4
    """About a second each."""

    def _suits(self, coordinates: tuple[Coordinate, ...]) -> bool:
        return bool(coordinates)

    def _least(self, coordinates: tuple[Coordinate, ...]) -> int:
        return 2

    def _draw_point(self, family: str, window: Window, view: SearchView) -> Point:
        results = tuple(window)
        return evolution.draw_gp(
            self._space.coordinates(family),
            results,
            [one for one in view.pending if one.family == family],
            losses=evolution.penalised(results, self._direction),
            number=view.number,
            seed=self._seed,
        )


class CmaesSampler(FamilySampler):
    """CMA-ES in each family with two numeric coordinates or more."""

    def _suits(self, coordinates: tuple[Coordinate, ...]) -> bool:
        return sum(one.kind != "choice" for one in coordinates) >= 2

    def _least(self, coordinates: tuple[Coordinate, ...]) -> int:
        return 2

    def _draw_point(self, family: str, window: Window, view: SearchView) -> Point:
        coordinates, results = self._space.coordinates(family), tuple(window)
        # Generations stay the same trials when old ones leave the window: whole ones leave.
        size = evolution.generation_size(sum(one.kind != "choice" for one in coordinates))
        results = results[-(window.added - len(results)) % size :]
        return evolution.draw_cmaes(
            coordinates,
            results,
            losses=evolution.penalised(results, self._direction),
            number=view.number,
            seed=draw_seed(family, self._seed),
        )


class SurrogateSampler(TpeSampler):
    """A Gaussian process over all families' rates and standings; see `surrogate`."""

    most_at_once = 32
    """About a tenth of a second each."""

    @cached_property
    def _surrogate(self) -> SurrogateModel:
        return SurrogateModel(self._candidate_space or CandidateSpace(self._space), self._direction, self._seed)

    def draw(self, view: SearchView) -> tuple[str, Point]:
        if view.in_startup and view.due_family is not None:
            return self._spread(view.due_family, view)
        return self._surrogate.draw(view.results, view.pending, view.number, view.due_family)


SAMPLERS: Mapping[str, type[Sampler]] = {
    "tpe": TpeSampler,
    "surrogate": SurrogateSampler,
    "random": RandomSampler,
    "gp": GpSampler,
    "cmaes": CmaesSampler,
    "qmc": QmcSampler,
    "grid": GridSampler,
}


def available_samplers() -> tuple[str, ...]:
    """The samplers whose libraries are installed here."""
    return tuple(name for name in SAMPLERS if name != "gp" or optuna_study.gp_is_available())


def check_sampler(name: str) -> Fault | None:
    """Why a sampler cannot be used here, None when it can."""
    available = available_samplers()
    if name in available:
        return None
    return Fault(
        "sampler.name",
        "this sampler needs libraries that the server lacks (torch)",
        ", ".join(available),
        name,
        'Use "tpe", or have the operator install torch beside the server.',
    )

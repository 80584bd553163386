"""The sampler `surrogate`: a Gaussian process over schedules' rates and how well they rank.

All families share its axes (see `rates`), and a trial that was stopped early is ranked among the
others by the phases that it passed (see `rung_ranking`). So the process learns from all completed,
pruned and diverged trials of the study. It sees at most `CAPACITY` of them, so that a proposal takes
milliseconds however long the search is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lehr.space import Coordinate, Space
from lehr.wire.studies import Direction
from service.search.gaussian_process import Array, GaussianProcess, Prior, expected_improvement, fit_theta
from service.search.observations import Observation, Point, as_loss, draw_seed
from service.search.rates import rate_features
from service.search.rung_ranking import rank_across_rungs, rank_scores
from service.search.samplers.base import SearchView
from service.search.samplers.tpe import TpeSampler
from service.search.sequence import from_unit, random_point, to_unit

Place = tuple[str, Point]

PRIOR = Prior(
    log_length=(math.log(2.1), 1.0),
    log_signal=(0.0, 1.0),
    log_noise=(math.log(0.1), 1.0),
    starts=(math.log(0.1),),
    steps=15,
)
"""Length scales are in decades of the rate: 0.7 of the three decades of a usual search. Scores are standardised."""
CAPACITY = 128
"""Maximum number of observations for the process: half of them the best, the rest sampled from all others."""
FITTED = 100
"""Maximum number of observations that the hyperparameters are fitted to."""
FIT_GROWTH = 1.4
"""The hyperparameters are fitted again each time the number of observations has grown by this factor."""

RUNGS = (0.02, 0.1, 0.4)
"""Phases at which trials are compared, as fractions of the longest training; the last phase is the end."""
ANYWHERE, NEARBY = 48, 48
"""Number of candidates drawn from the whole space, and near the best results."""
BEST = 4
"""Number of the best results near which candidates are drawn."""
REACH = 0.12
"""Standard deviation of these draws on an axis, as a fraction of its range."""
KEPT_POINTS = 4096


class SurrogateSampler(TpeSampler):
    """Draws from a `SurrogateModel`."""

    most_at_once = 32
    """Each draw takes about a tenth of a second."""

    def draw(self, view: SearchView) -> tuple[str, Point]:
        return self._surrogate.draw(view.results, view.pending, view.number, view.due_family)

    @cached_property
    def _surrogate(self) -> SurrogateModel:
        return SurrogateModel(CandidateSpace(self._space), self._direction, self._seed)


class CandidateSpace:
    """Converts places of a space to inputs of the Gaussian process, and draws candidate places."""

    def __init__(self, space: Space) -> None:
        self._space = space

    def axes(self, place: Place) -> Array:
        return rate_features(self._space.schedule(*place))

    def candidates(self, best: Sequence[Place], family: str | None, generator: np.random.Generator) -> list[Place]:
        """Candidate places, all of `family` if one is given."""
        families = [family] if family else list(self._space.families)
        seeds = generator.integers(2**31, size=ANYWHERE).tolist()
        anywhere = [families[at % len(families)] for at in range(ANYWHERE)]
        places: list[Place] = [
            (one, random_point(self._space.coordinates(one), seed)) for one, seed in zip(anywhere, seeds, strict=True)
        ]
        near = [one for one in best if one[0] in families]
        return places + [self._near(near[at % len(near)], generator) for at in range(NEARBY if near else 0)]

    def _near(self, place: Place, generator: np.random.Generator) -> Place:
        family, point = place
        return family, {one.name: _moved(one, point[one.name], generator) for one in self._space.coordinates(family)}


def _moved(coordinate: Coordinate, value: float | int | str, generator: np.random.Generator) -> float | int | str:
    if coordinate.kind == "choice":
        return from_unit(coordinate, float(generator.random())) if generator.random() < REACH else value
    unit = to_unit(coordinate, value) + REACH * float(generator.standard_normal())
    return from_unit(coordinate, min(max(unit, 0.0), 1.0))


@dataclass
class SurrogateModel:
    """Draws places from a space. A draw depends only on the arguments."""

    space: CandidateSpace
    direction: Direction
    seed: int
    _points: dict[int, Array] = field(default_factory=dict)
    _fit: tuple[bytes, Array] | None = None

    def draw(
        self, results: Sequence[Observation], pending: Sequence[Observation], number: int, family: str | None = None
    ) -> Place:
        """The most promising candidate. `results` are informative and, like `pending`, have points."""
        generator = np.random.default_rng(draw_seed("surrogate", self.seed, number))
        results = self._ordered(results)
        horizon = _longest(results)
        ranks = rank_across_rungs([passed(one, horizon, self.direction) for one in results])
        scores, inputs = np.array(rank_scores(ranks)), self._inputs(results)
        best = sorted(range(len(results)), key=ranks.__getitem__)[:BEST]
        offered = self.space.candidates([_place(results[at]) for at in best], family, generator)
        theta = self._theta(inputs, scores)
        kept = thinned(scores, generator)
        process = GaussianProcess.of(inputs[kept], scores[kept], theta)
        if pending:  # so that parallel draws spread
            process = process.with_believed(self._inputs(pending))
        means, deviations = process.predict(np.stack([self.space.axes(one) for one in offered]))
        incumbent = float(process.predict(process.X)[0].max())
        return offered[int(np.argmax(expected_improvement(means - incumbent, deviations)))]

    def _ordered(self, results: Sequence[Observation]) -> list[Observation]:
        """Results in the order that breaks ties: as given, then the diverged ones by increasing highest rate."""
        tops = dict(zip((one.number for one in results), self._inputs(results)[:, 0], strict=True))
        return sorted(results, key=lambda one: (one.state == "DIVERGED", one.state == "DIVERGED" and tops[one.number]))

    def _theta(self, inputs: Array, scores: Array) -> Array:
        """Hyperparameters fitted to the first results, whose number grows in steps: most new results need no fit."""
        count = int(FIT_GROWTH ** math.floor(math.log(len(inputs), FIT_GROWTH) + 1e-9))
        chosen = slice(0, count, -(-count // FITTED))
        inputs = inputs[chosen]
        ranks = np.argsort(np.argsort(-scores[:count], kind="stable")).tolist()
        scores = np.array(rank_scores(ranks))[chosen]
        key = inputs.tobytes() + scores.tobytes()
        if self._fit is None or self._fit[0] != key:
            self._fit = key, fit_theta(inputs, scores, PRIOR)
        return self._fit[1]

    def _inputs(self, observations: Iterable[Observation]) -> Array:
        """(observations, axes)"""
        if len(self._points) > KEPT_POINTS:
            self._points.clear()
        found = []
        for one in observations:
            if one.number not in self._points:
                self._points[one.number] = self.space.axes(_place(one))
            found.append(self._points[one.number])
        return np.stack(found)


def _place(observation: Observation) -> Place:
    assert observation.point is not None
    return observation.family, observation.point


def _longest(results: Iterable[Observation]) -> int:
    """The number of steps of the longest known training."""
    return max((one.reports[-1][0] + 1 for one in results if one.reports), default=1)


def passed(observation: Observation, horizon_steps: int, direction: Direction) -> list[float]:
    """The trial's losses at the rungs that it reached (its first report at or after each), and at its end."""
    reports = [((step + 1) / horizon_steps, as_loss(value, direction)) for step, value in observation.reports]
    final = as_loss(observation.value, direction)
    losses: list[float] = []
    for rung in RUNGS:
        found = next((value for phase, value in reports if phase >= rung), None)
        if found is None:
            break
        losses.append(found)
    if observation.state == "PRUNED":
        return losses or [reports[-1][1] if reports else math.inf]
    return losses + [final] * (len(RUNGS) + 1 - len(losses))


def thinned(scores: Array, generator: np.random.Generator) -> NDArray[np.int64]:
    """The indices of the kept observations: the best, for half of the capacity, and a sample of the rest."""
    order = np.argsort(-scores, kind="stable")
    if len(order) <= CAPACITY:
        return order
    best = CAPACITY // 2
    return np.concatenate([order[:best], generator.choice(order[best:], CAPACITY - best, replace=False)])

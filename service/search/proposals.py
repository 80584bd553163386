"""The sampler `surrogate`: a Gaussian process over schedules' rates and how well they stand.

All families share its axes (see `rates`), and a trial that was stopped early is placed among the
others by the phases that it passed (see `standing`), so that every trial of the study informs it:
completed, pruned and diverged ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lehr.space import Coordinate, Space
from lehr.wire.studies import Direction
from service.search.observations import Observation, Point, as_loss, draw_seed
from service.search.rates import rates_point
from service.search.rung_ranking import rank_across_rungs, rank_scores
from service.search.sequence import from_unit, random_point, to_unit
from service.search.surrogate import FIT_GROWTH, condition, expected_improvement, fit_scales, thinned

Array = NDArray[np.float64]
Place = tuple[str, Point]

RUNGS = (0.02, 0.1, 0.4)
"""Phases at which trials are compared, in parts of the longest training; the end is the last."""
ANYWHERE, NEARBY = 48, 48
"""Candidates drawn from the whole space, and around the best."""
BEST = 4
"""Around so many of the best candidates are drawn."""
REACH = 0.12
"""How far on an axis, as a part of its range: the standard deviation."""
KEPT_POINTS = 4096


class CandidateSpace:
    """What the surrogate knows of a space: where a place lies on the axes, and which places there are."""

    def __init__(self, space: Space) -> None:
        self._space = space

    def axes(self, place: Place) -> Array:
        return rates_point(self._space.schedule(*place))

    def candidates(self, best: Sequence[Place], family: str | None, generator: np.random.Generator) -> list[Place]:
        """Places to choose from, of `family` alone where one is given."""
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
    """Draws places; what it draws depends on its arguments alone."""

    space: CandidateSpace
    direction: Direction
    seed: int
    _points: dict[int, Array] = field(default_factory=dict)
    _scales: tuple[bytes, Array] | None = None

    def draw(
        self, results: Sequence[Observation], pending: Sequence[Observation], number: int, family: str | None = None
    ) -> Place:
        """The candidate that promises most. `results` are informative and, like `pending`, have points."""
        generator = np.random.default_rng(draw_seed("surrogate", self.seed, number))
        results = self._ordered(results)
        horizon = _longest(results)
        places = rank_across_rungs([passed(one, horizon, self.direction) for one in results])
        values = np.array(rank_scores(places))
        points = self._known(results)
        best = sorted(range(len(results)), key=places.__getitem__)[:BEST]
        offered = self.space.candidates([_place(results[at]) for at in best], family, generator)
        logs = self._fitted(points, values)
        kept = thinned(values, generator)
        points, values = points[kept], _standard(values[kept])
        model = condition(points, values, logs)
        if pending:  # what runs is believed to end as predicted, so that parallel draws spread
            more = self._known(pending)
            believed = model.predict(more)[0]
            points, values = np.vstack([points, more]), np.concatenate([values, believed])
            model = condition(points, values, logs)
        mean, deviation = model.predict(np.stack([self.space.axes(one) for one in offered]))
        incumbent = float(model.predict(points)[0].max())
        return offered[int(np.argmax(expected_improvement(mean, deviation, incumbent)))]

    def _ordered(self, results: Sequence[Observation]) -> list[Observation]:
        """Equal ones stand in this order: as they were asked, those that diverged the later the higher their rate."""
        tops = dict(zip((one.number for one in results), self._known(results)[:, 0], strict=True))
        return sorted(results, key=lambda one: (one.state == "DIVERGED", one.state == "DIVERGED" and tops[one.number]))

    def _fitted(self, points: Array, values: Array) -> Array:
        """Scales fitted to the first of the results, in steps, so that most new ones cost no fit."""
        count = int(FIT_GROWTH ** math.floor(math.log(len(points), FIT_GROWTH) + 1e-9))
        points, values = points[:count], values[:count]
        values = _standard(np.array(rank_scores(np.argsort(np.argsort(-values, kind="stable")).tolist())))
        key = points.tobytes() + values.tobytes()
        if self._scales is None or self._scales[0] != key:
            self._scales = key, fit_scales(points, values)
        return self._scales[1]

    def _known(self, observations: Iterable[Observation]) -> Array:
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
    """How many steps the longest training had that is known of."""
    return max((one.reports[-1][0] + 1 for one in results if one.reports), default=1)


def passed(observation: Observation, horizon_steps: int, direction: Direction) -> list[float]:
    """Its losses at the rungs and the end, as far as it came; where no report is so early, the next later value."""
    reports = [((step + 1) / horizon_steps, as_loss(value, direction)) for step, value in observation.reports]
    final = math.inf if observation.value is None else as_loss(observation.value, direction)
    losses: list[float] = []
    for rung in RUNGS:
        found = next((value for phase, value in reports if phase >= rung), None)
        if found is None:
            break
        losses.append(found)
    if observation.state == "PRUNED":
        return losses or [reports[-1][1] if reports else math.inf]
    return losses + [final] * (len(RUNGS) + 1 - len(losses))


def _standard(values: Array) -> Array:
    standard: Array = (values - values.mean()) / max(float(values.std()), 1e-12)
    return standard

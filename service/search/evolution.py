"""CMA-ES and Gaussian processes within one family: continuous samplers for one box of coordinates.

Neither knows conditional spaces, so the family is drawn by TPE and each family has a search of
its own. Both want a number for every trial: `penalised` gives one to those that have none.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from lehr.space import Coordinate
from lehr.wire.base import LARGEST_VALUE
from lehr.wire.studies import Direction
from service.search import optuna_study
from service.search.gp import loss_cap
from service.search.observations import Observation, Point, as_loss, draw_seed
from service.search.sequence import from_unit, random_point, to_unit

CAP = 4.0
"""Losses are cut off at this many times the distance from the best to the median."""


def penalised(results: Sequence[Observation], direction: Direction) -> dict[int, float]:
    """A finite loss for each result by number; less is better.

    COMPLETED: its value. PRUNED: its last report, but at best the median of the completed ones.
    What broke the constraints: worse than the worst that kept to them, by how much it did. DIVERGED: as bad as the
    worst of these. A loss far behind the median is cut off, since a single enormous one would flatten everything else
    for a Gaussian process; and so is one beyond LARGEST_VALUE, which databases of older servers hold.
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


def draw_gp(
    coordinates: Sequence[Coordinate],
    results: Sequence[Observation],
    pending: Sequence[Observation],
    *,
    losses: dict[int, float],
    number: int,
    seed: int,
) -> Point:
    """The point of highest expected improvement under a Gaussian process over the family's results."""
    space = {one.name: optuna_study.distribution(one) for one in coordinates}
    trials = [optuna_study.complete(one.number, dict(one.point or {}), space, losses[one.number]) for one in results]
    trials += [optuna_study.running(one.number, dict(one.point or {}), space) for one in pending]
    drawn = optuna_study.draw_gp(trials, space, number, draw_seed("gp", seed, number))
    return {one.name: one.nearest(drawn[one.name]) for one in coordinates}


def draw_cmaes(
    coordinates: Sequence[Coordinate],
    results: Sequence[Observation],
    *,
    losses: dict[int, float],
    number: int,
    seed: int,
) -> Point:
    """A draw of CMA-ES in the unit box of the family's numbers; choices are drawn evenly.

    The results, lowest number first, are its generations: the first sets the mean, each further
    full one is told. So the state depends on the results alone and needs no storage. Two or more
    numeric coordinates are needed. Source: Hansen, The CMA evolution strategy: a tutorial,
    arXiv 1604.00772.
    """
    import cmaes

    numeric = [one for one in coordinates if one.kind != "choice"]
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
    """How many results make a generation: 4 + 3 ln(dimension), Hansen's default."""
    return 4 + math.floor(3 * math.log(dimension))


def _cmaes_point(coordinates: Sequence[Coordinate], numeric: Sequence[Coordinate], optimizer: Any, seed: int) -> Point:
    point = random_point(coordinates, seed)
    if optimizer.should_stop():  # converged: another draw there would repeat what is known
        return point
    optimizer.reseed_rng(seed)
    drawn = optimizer.ask()
    for one, unit in zip(numeric, drawn, strict=True):
        point[one.name] = from_unit(one, min(max(float(unit), 0.0), 1.0))
    return point

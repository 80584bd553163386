"""Whether going on is worth it: the improvement that a search may still expect, against the noise of a training.

A Gaussian process over the curves of the schedules (`gp`) knows how good each place of the space is and how
sure that is. Expected improvement (Jones, Schonlau and Welch, J. Global Optim. 13, 1998, equation 15) of the best
further schedule over the best estimate tells what one more trial would give. A search has converged when that is
small against what two trainings of one schedule differ by: then luck decides, not the schedule.

What it may be wrong by is told beside it: the bound on the regret of Makarova et al., Automatic Termination for
Hyperparameter Optimization, AutoML 2022 (arXiv 2104.08166), section 4.1: the least upper confidence bound of what was
tried minus the least lower one of all that could be. It holds with probability 1 - DELTA if the process is right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lehr.schedules import Schedule
from lehr.space import Space
from service.answer.landscape import PRIOR
from service.search.gp import Array, GaussianProcess, expected_improvement, fit, loss_cap
from service.search.rates import rate_features
from service.search.sequence import spread_point

FEWEST = 20
"""Fewer trials tell too little of the space, and of the noise."""
MOST = 128
"""Trials that the process sees: the best."""
CANDIDATES = 384
"""Schedules of the whole space that could be tried, spread evenly over families."""
SMALL = 0.2
"""Expected improvement below this part of the noise is not worth a trial. Chosen in `benchmarks/stopping`: at 0.3 twice
as many trials are saved, but one search in eight stops too early."""
CAP = 3.0
"""Losses are cut off at this many times the distance from the best to the median: how bad the bad ones are is nothing
to learn from, but that they are is, lest the process take their places for unexplored."""
DELTA = 0.1
SHRINK = 0.2
"""The confidence parameter of Srinivas et al. (ICML 2010) is scaled down by 5, as there and in Makarova et al."""
AXES = 4
METHOD = (
    "a Gaussian process over the schedules' curves: expected improvement of the best further schedule, and the least "
    "upper confidence bound of what was tried minus the least lower one of the space (arXiv 2104.08166)"
)


@dataclass(frozen=True, slots=True)
class Convergence:
    """What a search of `trials` believes, all in the units of the objective."""

    trials: int
    expected_improvement: float
    noise: float
    regret_bound: float

    @property
    def converged(self) -> bool:
        return self.expected_improvement <= SMALL * self.noise


def convergence(schedules: Sequence[Schedule], losses: Sequence[float], space: Space) -> Convergence | None:
    """Of trials with these losses, less is better, infinite where one diverged or was given up.

    None for fewer than FEWEST, where all losses are the same, or where no process fits. Deterministic.
    """
    values = np.asarray(losses, dtype=np.float64)
    if len(values) < FEWEST or np.isfinite(values).sum() < FEWEST // 2:
        return None
    cap = loss_cap(values, CAP)
    if cap <= values.min():
        return None
    values = np.minimum(values, cap)
    kept = np.argsort(values, kind="stable")[:MOST]
    process = fit(np.stack([rate_features(schedules[index]) for index in kept]), values[kept], PRIOR)
    if process is None:
        return None
    improvement, bound = _improvement_and_bound(process, _candidates(space), len(schedules))
    return Convergence(len(schedules), improvement, process.noise, bound)


def _improvement_and_bound(process: GaussianProcess, candidates: Array, trials: int) -> tuple[float, float]:
    """Expected improvement and the bound on the regret."""
    tried = len(process.X)
    means, deviations = process.predict(np.concatenate([process.X, candidates]))
    expected = expected_improvement(means[:tried].min() - means, deviations)
    beta = SHRINK * 2 * math.log(AXES * trials**2 * math.pi**2 / (6 * DELTA))
    upper, lower = means + math.sqrt(beta) * deviations, means - math.sqrt(beta) * deviations
    return float(expected.max()), float(max(0.0, upper[:tried].min() - lower.min()))


def _candidates(space: Space) -> Array:
    """The curves' features of schedules all over the space: (about CANDIDATES, 4)."""
    each = math.ceil(CANDIDATES / len(space.families))
    drawn = [
        rate_features(space.schedule(family, spread_point(space.coordinates(family), index, 0, family)))
        for family in space.families
        for index in range(each)
    ]
    return np.stack(drawn)

"""Estimates whether a search has converged: whether another trial is expected to improve less than a training's noise.

A Gaussian process over the curves of the schedules gives the mean and the uncertainty of the loss anywhere in
the space. The expected improvement (Jones, Schonlau and Welch, J. Global Optim. 13, 1998, equation 15) of the best
further schedule over the best estimate is what one more trial would gain. A search has converged when that is small
compared with the noise between trainings of one schedule: from then on, luck decides, not the schedule.

It also gives a bound on the regret, from Makarova et al., Automatic Termination for Hyperparameter Optimization, AutoML
2022 (arXiv 2104.08166), section 4.1: the lowest upper confidence bound of the schedules tried minus the lowest lower
confidence bound in the space. It holds with probability 1 - DELTA if the process is right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lehr.schedules import Schedule
from lehr.space import Space
from service.answer.landscape import PRIOR
from service.search.gaussian_process import Array, GaussianProcess, expected_improvement, fit, loss_cap
from service.search.rates import rate_features
from service.search.sequence import spread_point

FEWEST = 20
"""Fewer trials show too little about the space and the noise."""
MOST = 128
"""The process is fitted to this many of the best trials."""
CANDIDATES = 384
"""Schedules of the whole space that could be tried, spread evenly over families."""
SMALL = 0.2
"""An expected improvement below this fraction of the noise is not worth a trial. Chosen in `benchmarks/stopping`: 0.3
would save twice as many trials, but stop one search in eight too early."""
CAP = 3.0
"""Losses are capped at this many times the distance from the best to the median. How bad the bad trials are does not
matter, but without them the process would regard their regions as unexplored."""
DELTA = 0.1
SHRINK = 0.2
"""The confidence parameter of Srinivas et al. (ICML 2010) is scaled down by 5, as there and in Makarova et al."""
AXES = 4
METHOD = (
    "a Gaussian process over the schedules' curves: expected improvement of the best further schedule, and the lowest "
    "upper confidence bound of the schedules tried minus the lowest lower one of the space (arXiv 2104.08166)"
)


@dataclass(frozen=True, slots=True)
class Convergence:
    """The estimate after `trials` trials, in the units of the objective."""

    trials: int
    expected_improvement: float
    noise: float
    regret_bound: float

    @property
    def converged(self) -> bool:
        return self.expected_improvement <= SMALL * self.noise


def convergence(schedules: Sequence[Schedule], losses: Sequence[float], space: Space) -> Convergence | None:
    """Estimate the convergence of a search. `losses`: lower is better, infinite for diverged or pruned trials.

    None for fewer than FEWEST trials, if all losses are equal, or if no process fits. Deterministic.
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
    """The expected improvement and the bound on the regret."""
    tried = len(process.X)
    means, deviations = process.predict(np.concatenate([process.X, candidates]))
    expected = expected_improvement(means[:tried].min() - means, deviations)
    beta = SHRINK * 2 * math.log(AXES * trials**2 * math.pi**2 / (6 * DELTA))
    upper, lower = means + math.sqrt(beta) * deviations, means - math.sqrt(beta) * deviations
    return float(expected.max()), float(max(0.0, upper[:tried].min() - lower.min()))


def _candidates(space: Space) -> Array:
    """The features of schedules spread over the whole space: (about CANDIDATES, 4)."""
    per_family = math.ceil(CANDIDATES / len(space.families))
    drawn = [
        rate_features(space.schedule(family, spread_point(space.coordinates(family), index, 0, family)))
        for family in space.families
        for index in range(per_family)
    ]
    return np.stack(drawn)

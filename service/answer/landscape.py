"""Fits one smooth loss landscape to all trials of a search, and chooses the schedules worth confirming."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lehr.schedules import Schedule
from lehr.wire.studies import Direction
from service.answer.finalists import SearchTrial, best_first, is_baseline
from service.search.gaussian_process import Array, GaussianProcess, Prior, fit, loss_cap
from service.search.observations import as_loss
from service.search.rates import rate_features

PRIOR = Prior(
    log_length=(math.log(0.7), 1.0),
    log_signal=(0.0, 1.4),
    log_noise=(2 * math.log(0.3), 2.0),
    starts=(2 * math.log(0.1), 2 * math.log(0.6)),
    steps=60,
)
"""Lengths in decades of the rate; the losses of schedules are standardised."""
FEWEST = 8
"""With fewer completed schedules, neighbours are too far apart, and the measured values are used."""
MOST = 128
"""A process over more trials is too slow, and only the best trials of a long search matter."""
BEST_PART = 0.75
"""The fraction of the trials, best first, that the process sees: hopeless rates have a different noise."""
CAP = 3.0
"""Losses are capped at this many times the distance from the best to the median, because a cliff does not fit."""
DRAWS = 1000


@dataclass(frozen=True)
class Landscape:
    """The distinct completed schedules of a search, best value first.

    `process`: None if there are too few of them, or no process fits.
    """

    trials: tuple[SearchTrial, ...]
    losses: tuple[float, ...]
    process: GaussianProcess | None

    @classmethod
    def of(cls, trials: Sequence[SearchTrial], direction: Direction, part: float = BEST_PART) -> Landscape:
        """Fit the landscape. `part`: the fraction of the trials, best first, that the process sees."""
        distinct: list[SearchTrial] = []
        seen: set[Schedule] = set()
        for trial in best_first(trials, direction):
            if trial.schedule not in seen:
                seen.add(trial.schedule)
                distinct.append(trial)
        losses = tuple(as_loss(trial.value, direction) for trial in distinct)
        kept = min(MOST, max(FEWEST, math.ceil(part * len(distinct))))
        if len(distinct) < FEWEST or losses[0] == losses[kept - 1 if kept < len(losses) else -1]:
            return cls(tuple(distinct), losses, None)
        values = np.array(losses[:kept])
        inputs = np.stack([rate_features(trial.schedule) for trial in distinct[:kept]])
        return cls(tuple(distinct), losses, fit(inputs, np.minimum(values, loss_cap(values, CAP)), PRIOR))

    def estimates(self) -> dict[int, float]:
        """The expected loss of each schedule by trial number, smoothed by its neighbours."""
        if self.process is None:
            return {trial.number: value for trial, value in zip(self.trials, self.losses, strict=True)}
        means = self.process.centre + self.process.scale * self._joint[0]
        return {trial.number: float(mean) for trial, mean in zip(self._seen, means, strict=True)}

    def by_schedule(self) -> dict[Schedule, float]:
        """The same by schedule. Of several trials of one schedule, the best counts."""
        estimates = self.estimates()
        return {trial.schedule: estimates[trial.number] for trial in self.trials if trial.number in estimates}

    def finalists(self, top: int) -> list[SearchTrial]:
        """The set of `top` schedules whose best member is expected to be best, chosen greedily.

        The first has the best estimate. Each further one adds most to the expected best of the chosen ones, so a near
        duplicate of a chosen schedule adds nothing. The expectation is over draws from the joint posterior, which are
        the same at every call. The greedy choice loses at most 1/e of the best set's gain (Nemhauser, Wolsey and
        Fisher, Mathematical Programming 14, 1978).
        """
        if self.process is None:
            return list(self.trials[:top])
        means, covariance = self._joint
        draws = np.random.default_rng(0).multivariate_normal(means, covariance, size=DRAWS, method="cholesky")
        chosen = [int(np.argmin(means))]
        best = draws[:, chosen[0]].copy()
        while len(chosen) < min(top, len(means)):
            gains = np.maximum(best[:, None] - draws, 0.0).mean(0)
            gains[chosen] = -1.0
            chosen.append(int(np.argmax(gains)))
            best = np.minimum(best, draws[:, chosen[-1]])
        return [self.trials[index] for index in chosen]

    def baseline(self) -> SearchTrial | None:
        """The constant schedule without warm-up that has the best estimate; None if none completed.

        Trials too bad for the process to see have no estimate, because it would extrapolate, and might be best where
        the rates are far too high.
        """
        constants = [trial for trial in self.trials if is_baseline(trial.schedule)]
        estimates = self.estimates()
        estimated = [trial for trial in constants if trial.number in estimates]
        return min(estimated or constants, key=lambda trial: estimates.get(trial.number, 0.0), default=None)

    @property
    def _seen(self) -> tuple[SearchTrial, ...]:
        assert self.process is not None
        return self.trials[: len(self.process.X)]

    @cached_property
    def _joint(self) -> tuple[Array, Array]:
        assert self.process is not None
        return self.process.joint(self.process.X)

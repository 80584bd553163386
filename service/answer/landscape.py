"""The search as one landscape: which schedules are worth confirming."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lehr.schedules import Schedule
from lehr.wire.studies import Direction
from service.answer.finalists import SearchTrial, best_first, is_baseline
from service.search.gp import Array, GaussianProcess, Prior, fit, loss_cap
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
"""With fewer completed schedules there are no neighbours to speak of, and the values are taken as they are."""
MOST = 128
"""A process over more trials costs too much; only the best ones of a long search are of interest."""
BEST_PART = 0.75
"""The part of the trials, best first, that the process sees: the noise of hopeless rates is another noise."""
CAP = 3.0
"""Losses are cut off at this many times the distance from the best to the median: a cliff is no slope."""
DRAWS = 1000


@dataclass(frozen=True)
class Landscape:
    """The completed schedules of a search, each once, best value first. `process` None: too few of them, or no
    process fits.
    """

    trials: tuple[SearchTrial, ...]
    losses: tuple[float, ...]
    process: GaussianProcess | None

    @classmethod
    def of(cls, trials: Sequence[SearchTrial], direction: Direction, part: float = BEST_PART) -> Landscape:
        """`part`: of the trials, best first, that the process sees."""
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
        """The expected loss of each schedule by its trial's number, its luck taken out as far as neighbours tell."""
        if self.process is None:
            return {trial.number: value for trial, value in zip(self.trials, self.losses, strict=True)}
        means = self.process.centre + self.process.scale * self._joint[0]
        return {trial.number: float(mean) for trial, mean in zip(self._seen, means, strict=True)}

    def by_schedule(self) -> dict[Schedule, float]:
        """The same by schedule: of several trials of one the best was taken."""
        estimates = self.estimates()
        return {trial.schedule: estimates[trial.number] for trial in self.trials if trial.number in estimates}

    def finalists(self, top: int) -> list[SearchTrial]:
        """The `top` schedules among which the best is expected to be best; the likeliest first.

        The first has the best estimate. Each further one adds most to the expected best of those chosen:
        one that is nearly the same as another chosen one adds nothing. The expectation is of draws from
        the joint posterior, the same at every call. Choosing one after the other loses at most 1/e of what
        the best set would gain (Nemhauser, Wolsey and Fisher, Mathematical Programming 14, 1978).
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
        """The constant rate, without warm-up, of the best estimate; None when none completed.

        One that was too bad for the process to see has no estimate: what it would say there is an extrapolation,
        and may be best of all just where the rates are far too high.
        """
        constants = [trial for trial in self.trials if is_baseline(trial.schedule)]
        estimates = self.estimates()
        known = [trial for trial in constants if trial.number in estimates]
        return min(known or constants, key=lambda trial: estimates.get(trial.number, 0.0), default=None)

    @property
    def _seen(self) -> tuple[SearchTrial, ...]:
        assert self.process is not None
        return self.trials[: len(self.process.X)]

    @cached_property
    def _joint(self) -> tuple[Array, Array]:
        assert self.process is not None
        return self.process.joint(self.process.X)

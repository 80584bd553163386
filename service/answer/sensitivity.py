"""Estimates a schedule's sensitivity to a wrong rate: how much worse it gets with its rates doubled or halved.

The process that chooses finalists sees only the better trials, with capped losses, so it does not see cliffs. This one
sees all trials, capped far behind the median, with DIVERGED trials at the cap. It still smooths the edges of cliffs, so
it underestimates rather than overestimates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lehr.schedules import Schedule
from lehr.wire.studies import Direction
from service.answer.finalists import SearchTrial, best_first
from service.answer.landscape import FEWEST, MOST, PRIOR
from service.search.gaussian_process import GaussianProcess, fit, loss_cap
from service.search.observations import as_loss
from service.search.rates import rate_features

WRONG_BY = 2.0
"""The largest factor by which the rate is assumed to be wrong."""
SHIFTS = (-1.0, -0.5, 0.5, 1.0)
"""Where the loss is predicted, as fractions of WRONG_BY's logarithm: a cliff may lie in between."""
CAP = 10.0
"""Losses are capped at this many times the distance from the best to the median."""


@dataclass(frozen=True)
class Sensitivity:
    """The sensitivity of a search's schedules. `process`: None for too few trials or equal values, or if none fits."""

    process: GaussianProcess | None

    @classmethod
    def of(cls, trials: Sequence[SearchTrial], direction: Direction) -> Sensitivity:
        completed = best_first(trials, direction)
        values = np.array([as_loss(trial.value, direction) for trial in completed])
        if len(values) < FEWEST or values.min() == values.max():
            return cls(None)
        cap = loss_cap(values, CAP)
        seen = sorted(zip(np.minimum(values, cap).tolist(), completed, strict=True), key=lambda pair: pair[0])[:MOST]
        lost = [trial for trial in trials if trial.state == "DIVERGED"][:MOST]
        inputs = np.stack([rate_features(trial.schedule) for trial in (*(trial for _, trial in seen), *lost)])
        return cls(fit(inputs, np.array([*(value for value, _ in seen), *[cap] * len(lost)]), PRIOR))

    def at(self, schedule: Schedule) -> float | None:
        """How much worse the metric is expected to be at the worst of the shifted rates; 0 or more."""
        if self.process is None:
            return None
        here, wrong = rate_features(schedule), math.log10(WRONG_BY)
        means, _ = self.process.predict(np.stack([here, *(here + part * wrong for part in SHIFTS)]))
        return max(0.0, float(max(means[1:]) - means[0]))

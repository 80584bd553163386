"""What a wrong rate costs: how much worse a schedule is expected to be with its rates twice or half as high.

The process that chooses finalists sees the better part of a search, and what is bad cut off: it knows no cliffs. This
one sees every trial up to far behind the median, and those that DIVERGED as bad as that. A cliff's edge is smooth to it
still, so what it says is rather too little than too much.
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
from service.search.gp import GaussianProcess, fit, loss_cap
from service.search.observations import as_loss
from service.search.rates import rate_features

WRONG_BY = 2.0
"""How wrong the rate is taken to be, at most, when asking how much that costs."""
SHIFTS = (-1.0, -0.5, 0.5, 1.0)
"""Where it is looked at, in parts of WRONG_BY's logarithm: a cliff may lie between."""
CAP = 10.0
"""Losses are cut off at this many times the distance from the best to the median."""


@dataclass(frozen=True)
class Sensitivity:
    """Of the schedules of a search. `process` None: too few of them, all alike, or no process fits."""

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
        """By how much the metric is expected to be worse, at the worst of the rates looked at; 0 or more."""
        if self.process is None:
            return None
        here, wrong = rate_features(schedule), math.log10(WRONG_BY)
        means, _ = self.process.predict(np.stack([here, *(here + part * wrong for part in SHIFTS)]))
        return max(0.0, float(max(means[1:]) - means[0]))

"""A trial's training curve in the form that the diagnosis rules read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from lehr.wire.base import LARGEST_VALUE
from lehr.wire.studies import Direction
from lehr.wire.trials import TrialState
from service.answer.statistics import mean_of

VAL_LOSS = "val_loss"
TRAIN_LOSS = "train_loss"
CLIMB = 1.05
"""The rate rises if it is more than this many times the previous one."""
MET = 0.5
"""A rate was reached before if an earlier one was at least this fraction of it."""
HIGH = 0.7
"""A rate is high while it is at least this fraction of the highest."""


@dataclass(frozen=True)
class Series:
    """The finite values of one quantity of a curve; lower is better.

    steps: (n,), increasing; values, rates: (n,). `spent`: (n,), the fraction of the training's summed learning rate up
    to the step, in [0, 1]. While the rate is small, the loss depends only on the summed rate, which is time on the
    gradient flow (Li, Tai and E, Stochastic modified equations and adaptive stochastic gradient algorithms, 2017).
    On this axis, schedules of any shape can be compared.
    """

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]
    rates: tuple[float, ...]
    spent: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def first(self) -> float:
        return self.values[0]

    @property
    def last(self) -> float:
        return self.values[-1]

    @cached_property
    def lowest(self) -> int:
        """The index of the lowest value, the first of equals."""
        return min(range(len(self.values)), key=lambda index: self.values[index])

    @property
    def moves(self) -> list[float]:
        """Differences of successive values: (n - 1,)."""
        return [after - before for before, after in pairwise(self.values)]

    @property
    def roughness(self) -> float:
        """The fraction of all movement that is upwards, in [0, 1]; 0 for a curve that never rises.

        Excludes moves where the rate rises to one that was reached before: when a cyclical schedule restarts, the loss
        rises by design.
        """
        counted = [move for index, move in enumerate(self.moves, 1) if not self._restarts(index)]
        movement = math.fsum(map(abs, counted))
        return math.fsum(move for move in counted if move > 0) / movement if movement else 0.0

    def _restarts(self, index: int) -> bool:
        rate, before = self.rates[index], self.rates[index - 1]
        return rate > CLIMB * before and any(earlier >= MET * rate for earlier in self.rates[: index - 1])

    def binned(self, bins: int = 12) -> Series:
        """At most `bins` means of successive reports, which show the trend of a noisy loss with many reports."""
        count = len(self)
        if count <= bins:
            return self
        edges = [round(index * count / bins) for index in range(bins + 1)]
        cuts = [slice(low, high) for low, high in pairwise(edges)]
        return Series(
            self.name,
            tuple(self.steps[cut][-1] for cut in cuts),
            tuple(mean_of(self.values[cut]) for cut in cuts),
            tuple(mean_of(self.rates[cut]) for cut in cuts),
            tuple(self.spent[cut][-1] for cut in cuts),
        )

    def at_spent(self, part: float) -> float:
        """The value after the fraction `part` of the summed rate, interpolated linearly between reports."""
        for index in range(1, len(self)):
            low, high = self.spent[index - 1], self.spent[index]
            if high >= part and high > low:
                weight = max(0.0, (part - low) / (high - low))
                return self.values[index - 1] + weight * (self.values[index] - self.values[index - 1])
        return self.last

    def between(self, start: int, stop: int) -> Series:
        """The reports from index `start` up to but excluding `stop`, with `spent` rescaled to end at 1."""
        cut = slice(start, stop)
        spent = self.spent[cut]
        whole = spent[-1] if spent and spent[-1] > 0 else 1.0
        return Series(
            self.name, self.steps[cut], self.values[cut], self.rates[cut], tuple(part / whole for part in spent)
        )

    @property
    def before_annealing(self) -> Series:
        """The reports up to the last one at a high rate.

        Annealing makes the loss fall by itself, so whether it was still falling shows only before annealing.
        """
        highest = max(self.rates)
        return self.between(0, 1 + max(index for index, rate in enumerate(self.rates) if rate >= HIGH * highest))


@dataclass(frozen=True)
class TrialCurve:
    """What a trial reported by step, with the facts about its schedule and objective.

    `rates`, `train_loss` and each of `metrics` are as long as `steps`. A value is None if it was not finite or not
    reported; values beyond LARGEST_VALUE are ignored. `rise_fraction`: the fraction of the horizon before the schedule
    first reaches its highest rate.
    """

    state: TrialState
    metric: str
    direction: Direction
    horizon_steps: int
    max_lr: float
    rise_fraction: float
    steps: Sequence[int]
    rates: Sequence[float]
    train_loss: Sequence[float | None]
    metrics: Mapping[str, Sequence[float | None]]

    @cached_property
    def train(self) -> Series | None:
        """The training loss; None if no report has one."""
        return self._series(TRAIN_LOSS, self.train_loss)

    @cached_property
    def objective(self) -> Series | None:
        """The objective, negated if it is maximized: lower is better."""
        sign = 1.0 if self.direction == "minimize" else -1.0
        values = self.metrics.get(self.metric, [])
        return self._series(self.metric, [None if value is None else sign * value for value in values])

    @cached_property
    def loss(self) -> Series | None:
        """The loss on held-out data if it is reported, otherwise on the training data."""
        held_out = self._series(VAL_LOSS, self.metrics.get(VAL_LOSS, []))
        if held_out is not None:
            return held_out
        return self.objective if self.direction == "minimize" and self.objective is not None else self.train

    @property
    def losses(self) -> list[Series]:
        """The held-out and the training loss, without duplicates."""
        losses = [series for series in (self.loss, self.train) if series is not None]
        return losses if len({series.name for series in losses}) == len(losses) else losses[:1]

    def _series(self, name: str, values: Sequence[float | None]) -> Series | None:
        finite = {at: value for at, value in enumerate(values) if value is not None and abs(value) <= LARGEST_VALUE}
        if not finite:
            return None
        spent = list(self._spent())
        return Series(
            name,
            tuple(self.steps[at] for at in finite),
            tuple(finite.values()),
            tuple(self.rates[at] for at in finite),
            tuple(spent[at] for at in finite),
        )

    def _spent(self) -> Iterator[float]:
        """The summed rate up to each report, as a fraction of the total, by the trapezoidal rule."""
        highest = max(self.rates) or 1.0  # a sum of large rates would overflow
        areas, before, rate = [], -1, self.rates[0] / highest
        for step, reached in zip(self.steps, (reported / highest for reported in self.rates), strict=True):
            areas.append((step - before) * (rate + reached) / 2)
            before, rate = step, reached
        whole = math.fsum(areas) or 1.0
        total = 0.0
        for area in areas:
            total += area
            yield min(1.0, total / whole)

"""A training's curve as the rules look at it."""

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
"""The rate climbs where it is so many times the one before."""
MET = 0.5
"""A rate was met before where an earlier one was at least this part of it."""
HIGH = 0.7
"""A rate is high while it is at least this part of the highest."""


@dataclass(frozen=True)
class Series:
    """One quantity of a curve where it was finite; less is better.

    steps: (n,), rising; values, rates: (n,). `spent`: (n,), the part of the training's summed rate that was spent
    up to the step, in [0, 1]. While the rate is small, a loss depends on the summed rate alone: that is time on
    the gradient flow (Li, Tai and E, Stochastic modified equations and adaptive stochastic gradient algorithms,
    2017), so that schedules of any shape are looked at on this axis.
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
        """The position of the least value, the first of equals."""
        return min(range(len(self.values)), key=lambda index: self.values[index])

    @property
    def moves(self) -> list[float]:
        """Differences of neighbours: (n - 1,)."""
        return [after - before for before, after in pairwise(self.values)]

    @property
    def roughness(self) -> float:
        """The part of all movement that went upwards, in [0, 1]; 0 for a curve that only falls or stands still.

        Left out are moves to a rate that was higher than the one before, and had been met earlier: where a cyclical
        schedule restarts, the loss rises by design.
        """
        kept = [move for index, move in enumerate(self.moves, 1) if not self._restarts(index)]
        movement = math.fsum(map(abs, kept))
        return math.fsum(move for move in kept if move > 0) / movement if movement else 0.0

    def _restarts(self, index: int) -> bool:
        rate, before = self.rates[index], self.rates[index - 1]
        return rate > CLIMB * before and any(earlier >= MET * rate for earlier in self.rates[: index - 1])

    def binned(self, bins: int = 12) -> Series:
        """At most `bins` means of neighbouring reports, so that often reported, noisy losses show their course."""
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
        """The value where `part` of the summed rate was spent, on a straight line between reports."""
        for index in range(1, len(self)):
            low, high = self.spent[index - 1], self.spent[index]
            if high >= part and high > low:
                weight = max(0.0, (part - low) / (high - low))
                return self.values[index - 1] + weight * (self.values[index] - self.values[index - 1])
        return self.last

    def between(self, start: int, stop: int) -> Series:
        """The reports at positions start to stop, the last one left out; `spent` counts to the last one left."""
        cut = slice(start, stop)
        spent = self.spent[cut]
        whole = spent[-1] if spent and spent[-1] > 0 else 1.0
        return Series(
            self.name, self.steps[cut], self.values[cut], self.rates[cut], tuple(part / whole for part in spent)
        )

    @property
    def before_annealing(self) -> Series:
        """The reports up to the last one at a high rate, which is close to the highest.

        Annealing lets the loss fall by itself, so that what it still had to gain shows before.
        """
        highest = max(self.rates)
        return self.between(0, 1 + max(index for index, rate in enumerate(self.rates) if rate >= HIGH * highest))


@dataclass(frozen=True)
class TrialCurve:
    """What a trial reported, by step, and what it was to do.

    `rates`, `train_loss` and each of `metrics` are as long as `steps`; None stands for what was not finite or not
    reported, as does what is beyond LARGEST_VALUE. `rise_fraction`: the part of the horizon before the schedule first
    reaches its highest rate.
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
        """The training loss; None where no report has one."""
        return self._series(TRAIN_LOSS, self.train_loss)

    @cached_property
    def objective(self) -> Series | None:
        """The objective, turned so that less is better."""
        sign = 1.0 if self.direction == "minimize" else -1.0
        values = self.metrics.get(self.metric, [])
        return self._series(self.metric, [None if value is None else sign * value for value in values])

    @cached_property
    def loss(self) -> Series | None:
        """A loss on held-out data where one is reported, else on the training data."""
        held_out = self._series(VAL_LOSS, self.metrics.get(VAL_LOSS, []))
        if held_out is not None:
            return held_out
        return self.objective if self.direction == "minimize" and self.objective is not None else self.train

    @property
    def losses(self) -> list[Series]:
        """The held-out and the training loss, each once."""
        found = [one for one in (self.loss, self.train) if one is not None]
        return found if len({one.name for one in found}) == len(found) else found[:1]

    def _series(self, name: str, values: Sequence[float | None]) -> Series | None:
        known = {at: value for at, value in enumerate(values) if value is not None and abs(value) <= LARGEST_VALUE}
        if not known:
            return None
        spent = list(self._spent())
        return Series(
            name,
            tuple(self.steps[at] for at in known),
            tuple(known.values()),
            tuple(self.rates[at] for at in known),
            tuple(spent[at] for at in known),
        )

    def _spent(self) -> Iterator[float]:
        """The summed rate up to each report, as a part of the whole; between reports the rate is their mean."""
        highest = max(self.rates) or 1.0  # a sum of large rates is no double
        areas, before, rate = [], -1, self.rates[0] / highest
        for step, reached in zip(self.steps, (one / highest for one in self.rates), strict=True):
            areas.append((step - before) * (rate + reached) / 2)
            before, rate = step, reached
        whole = math.fsum(areas) or 1.0
        total = 0.0
        for area in areas:
            total += area
            yield min(1.0, total / whole)

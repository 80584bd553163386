"""Reads levels, rises, drops and restarts off given rates, before any family is fitted."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lehr.schedules.base import Schedule
from lehr.schedules.sampling import spaced_steps

NEARLY = 0.97
ALIKE = 1 - 1e-9
RISE_POINTS = 17
NOISY = 0.1
"""If more than this fraction of the changes after the top go up, the rates are noisy and not restarted."""

MAX_CYCLES = 100
GROWTHS = 50
"""Number of growth factors on the initial geometric grid."""
HALVINGS = 40


@dataclass(frozen=True)
class Observed:
    """A sample of a curve's rates, relative to its highest rate, with their progress and detected features."""

    progress: Sequence[float]
    heights: Sequence[float]
    highest: float
    steps: int
    """Number of rates in the full curve."""
    rises: Sequence[float]
    """Possible ends of the rise: the progress of the first highest rate, and of the first nearly as high."""
    held: float
    """The progress until which the curve holds its highest rate from the start, else 0."""
    drops: Sequence[float]
    """The progress of each step whose rate is far below that of the step before."""
    restarts: Sequence[float]
    """For each step after the highest rate whose rate is far above that of the step before: half a step earlier."""
    restarted: Sequence[float]
    """The relative rates at the restarts."""

    @classmethod
    def of(cls, rates: Sequence[float], points: int) -> Observed:
        """Samples `points` evenly spaced rates, and additional ones in the rise, which may be short, and at jumps."""
        last, highest = len(rates) - 1, max(rates)
        top = max(range(len(rates)), key=rates.__getitem__)
        near = next(step for step, rate in enumerate(rates) if rate >= NEARLY * highest)
        held = next((step for step, rate in enumerate(rates) if rate < ALIKE * highest), len(rates)) - 1
        drops, restarts = _drops(rates)[:100], _restarts(rates, top, highest)[:100]
        jumps = {step - k for step in (*drops, *restarts) for k in (0, 1)}
        steps = sorted({*spaced_steps(len(rates), points), *spaced_steps(near + 1, RISE_POINTS), *jumps})
        return cls(
            progress=[step / last for step in steps],
            heights=[rates[step] / highest for step in steps],
            highest=highest,
            steps=len(rates),
            rises=tuple({top / last: 1, near / last: 1}),
            held=max(held, 0) / last,
            drops=[each / last for each in drops],
            restarts=[(step - 0.5) / last for step in restarts],
            restarted=[rates[step] / highest for step in restarts],
        )

    def height(self, progress: float) -> float:
        """The relative rate at the first sampled step at or after a progress in [0, 1]."""
        return self.heights[bisect_left(self.progress, progress)]

    def error(self, schedule: Schedule, stride: int = 1) -> float:
        """The mean square error at every `stride`-th rate, relative to the square of the highest rate."""
        at, heights = self.progress[::stride], self.heights[::stride]
        lr_at, highest = schedule.lr_at, self.highest
        return sum((lr_at(at) / highest - height) ** 2 for at, height in zip(at, heights, strict=True)) / len(heights)


def _drops(rates: Sequence[float]) -> list[int]:
    changes = list(itertools.pairwise(rates))
    steepest = max(before / max(after, 1e-300) for before, after in changes)
    return [k + 1 for k, (before, after) in enumerate(changes) if before > max(1.05, steepest**0.5) * after]


def _restarts(rates: Sequence[float], top: int, highest: float) -> list[int]:
    changes = [(step, rates[step] - rates[step - 1]) for step in range(top + 1, len(rates))]
    rising = [step for step, change in changes if change > 1e-9 * highest]
    least = 0.05 if len(rising) > NOISY * len(changes) + 1 else 0.001
    return [step for step, change in changes if change > least * highest]


def cycles(observed: Observed, rise: float) -> Iterator[dict[str, float]]:
    """Yields cycle counts, growths and decays after a rise that explain the observed restarts.

    The last cycles may be invisible: shorter than a step, or starting no higher than the end.
    """
    seen = len(observed.restarts)
    decays = sorted(min(height, 1.0) ** (1 / k) for k, height in enumerate(observed.restarted, 1))
    for count in range(seen + 1, min(seen + 5, MAX_CYCLES) + 1):
        growths = [_growth(observed.restarts, rise, count)] if seen else [1.0, 1.5, 2.0, 3.0]
        for growth in growths if count > 1 else [1.0]:
            for decay in {decays[seen // 2], 1.0} if seen else {1.0, 0.5}:
                yield {"cycles": count, "cycle_growth": growth, "cycle_decay": decay}


def _growth(restarts: Sequence[float], rise: float, count: int) -> float:
    """The growth in [1, 10] for which the first restarts of `count` cycles best match the observed ones."""

    def error(power: float) -> float:
        lengths = [10 ** (power * k) for k in range(count)]
        begins = itertools.accumulate(lengths[: len(restarts)])
        whole = sum(lengths)
        return sum((rise + (1 - rise) * begin / whole - at) ** 2 for begin, at in zip(begins, restarts, strict=True))

    low = min(range(GROWTHS), key=lambda k: error(k / GROWTHS)) / GROWTHS
    low, high = max(low - 1 / GROWTHS, 0.0), min(low + 1 / GROWTHS, 1.0)
    for _ in range(HALVINGS):
        third = (high - low) / 3
        low, high = (low, high - third) if error(low + third) < error(high - third) else (low + third, high)
    return 10**low

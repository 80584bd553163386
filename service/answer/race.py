"""The race: finds the best finalist by training the finalists on shared seeds.

In each round, the worse half stops, as does every racer that is clearly behind, and the trainings saved go to the close
ones. The race only chooses. Its leader is also the luckiest, so the answer's value is measured afterwards, on seeds
that the race has not used.

The value y_is of schedule i with seed s is modelled as m_i + b_s + e_is, where b_s is the effect of the seed on all
trainings with it. Racers that stopped have fewer seeds, so m and b are fitted together by least squares: the
intra-block analysis of incomplete blocks. Differences of two m then have Student's distribution.

Sources: Karnin, Koren and Somekh, Almost Optimal Exploration in Multi-Armed Bandits (ICML 2013), algorithm 1, for
halving a fixed budget; Maron and Moore, Hoeffding Races (NIPS 1993), for dropping clear losers; Yates, The Recovery of
Inter-Block Information in Balanced Incomplete Block Designs (Annals of Eugenics 10, 1940), for the blocks; Hsu,
Constrained Simultaneous Confidence Intervals for Multiple Comparisons with the Best (Annals of Statistics 12, 1984),
for comparing with the best, here with Bonferroni's bound.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

ERROR = 0.05
"""The probability of dropping any schedule that is as good as the leader."""

NEAR = 0.5
"""This many standard errors behind the leader count as no worse: such a racer is better with probability about 1/3."""

Losses = Mapping[int, Mapping[int, float]]
"""Losses by racer and seed."""


@dataclass(frozen=True, slots=True)
class Place:
    """A racer compared with the leader.

    `gap` >= 0: its mean loss minus the leader's. `error`: the gap's standard error; None if it is unknown. `tied`: the
    racer is not clearly behind.
    """

    racer: int
    mean: float
    gap: float
    error: float | None
    tied: bool


def places(losses: Losses) -> list[Place]:
    """The racers with a loss, best first. Equal means keep the given order."""
    racers = [racer for racer, values in losses.items() if values]
    if not racers:
        return []
    means, covariance, freedom, scale = _fit([losses[racer] for racer in racers])
    rounding = 1e-12 * float(np.abs(means).max())
    leader = int(np.argmax(means <= means.min() + rounding))
    critical = float(stdtrit(freedom, 1 - ERROR / max(1, len(racers) - 1))) if freedom else math.inf

    def place(index: int) -> Place:
        gap = float(means[index] - means[leader])
        gap = gap if gap > rounding else 0.0
        spread = covariance[index, index] + covariance[leader, leader] - 2 * covariance[index, leader]
        error = math.sqrt(max(0.0, float(spread))) if freedom and index != leader else None
        tied = error is None or gap <= critical * error
        unscaled = None if error is None else _times(error, scale)
        return Place(racers[index], _times(float(means[index]), scale), _times(gap, scale), unscaled, tied)

    return [place(index) for index in sorted(range(len(racers)), key=lambda index: (index != leader, means[index]))]


def rounds(racers: int) -> int:
    """How many rounds halve this many racers to one."""
    return max(0, math.ceil(math.log2(racers))) if racers else 0


def seeds_of_round(racers: int, runs_left: int, rounds_left: int) -> int:
    """How many fresh seeds each racer gets in this round: an equal share of the trainings left, at least one if any."""
    if racers < 2 or rounds_left < 1:
        return 0
    return min(max(1, runs_left // rounds_left // racers), runs_left // racers)


def survivors(order: Sequence[Place], racing: Sequence[int]) -> list[int]:
    """The racers that continue, best first: the better half, without those that are clearly behind."""
    ordered = [place for place in order if place.racer in racing]
    return [place.racer for place in ordered[: math.ceil(len(racing) / 2)] if place.tied]


def simplest(order: Sequence[Place], complexity: Mapping[int, tuple[float, ...]]) -> int:
    """The racer of least `complexity` within half a standard error of the leader; of equals, the better one.

    After the one-standard-error rule: Breiman, Friedman, Olshen and Stone, Classification and Regression Trees (1984),
    section 3.4.3. Choosing among all tied racers, or within a whole standard error, would cost more than the simplicity
    is worth: racers that few seeds cannot distinguish may still differ.
    """
    near = [place for place in order if place.gap == 0 or (place.error is not None and place.gap <= NEAR * place.error)]
    return min(near, key=lambda place: (*complexity[place.racer], place.gap)).racer


def _times(value: float, scale: float) -> float:
    """The product, clipped to the range of doubles."""
    return max(-sys.float_info.max, min(sys.float_info.max, value * scale))


def _fit(values: Sequence[Mapping[int, float]]) -> tuple[np.ndarray, np.ndarray, int, float]:
    """Least squares of m_i + b_s: the m_i, their covariances, the residuals' degrees of freedom, and the scale.

    The first two are in units of the scale, because squares of large losses would overflow.
    """
    seeds = sorted({seed for losses in values for seed in losses})
    cells = [(index, seeds.index(seed), loss) for index, losses in enumerate(values) for seed, loss in losses.items()]
    design = np.zeros((len(cells), len(values) + len(seeds)))
    for row, (index, block, _) in enumerate(cells):
        design[row, index] = design[row, len(values) + block] = 1.0
    targets = np.array([loss for _, _, loss in cells])
    scale = float(np.abs(targets).max()) or 1.0
    # The least-norm solution for the two sets of effects. They share one constant, which is added to the m_i.
    inverse = np.linalg.pinv(design.T @ design)
    effects = inverse @ design.T @ (targets / scale)
    residuals = targets / scale - design @ effects
    freedom = len(cells) - int(np.linalg.matrix_rank(design))
    variance = float(residuals @ residuals) / freedom if freedom else 0.0
    means = effects[: len(values)] + effects[len(values) :].mean()
    return means, inverse[: len(values), : len(values)] * variance, freedom, scale

"""Smooths the losses of a sweep into a curve over the logarithm of the learning rate.

Losses of single batches are noisy: the first ones may be spikes, and the last ones huge or not finite. So they are
capped, freed of spikes by a running median, and smoothed by a centred kernel, which, unlike a running average, does not
shift the curve to higher rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, median_filter

from lehr.wire.base import LARGEST_VALUE

Array = NDArray[np.float64]

POINTS_PER_DECADE = 20
"""The density of the grid on which the sweeps of several seeds are combined."""
SPIKE_STEPS = 5
"""The running median's window. A spike lasts at most two steps."""
BANDWIDTH_DECADES = 0.15
"""The kernel's standard deviation."""
SPREAD = 4.0
"""How many times the median distance from its initial level the loss may deviate by noise."""
CALM_PART = 0.15
"""The first part of a sweep, where rates are too low to change anything. It gives the initial level of the loss."""
LEAST_REPORTS = 20


@dataclass(frozen=True, slots=True)
class Sweep:
    """What the sweep trial `number` reported: `losses` by step at rising `rates`, None if not finite.

    `held_out`: the losses on held-out examples, None also where none was reported; empty if the worker reports none.
    """

    number: int
    rates: tuple[float, ...]
    losses: tuple[float | None, ...]
    diverged: bool = False
    held_out: tuple[float | None, ...] = ()

    @property
    def of_held_out(self) -> Sweep:
        """The sweep with the losses on held-out examples, where they were reported."""
        pairs = [(rate, loss) for rate, loss in zip(self.rates, self.held_out, strict=False) if loss is not None]
        rates, losses = tuple(rate for rate, _ in pairs), tuple(loss for _, loss in pairs)
        return replace(self, rates=rates, losses=losses, held_out=())


@dataclass(frozen=True, slots=True)
class SmoothCurve:
    """A smoothed curve: `losses` (points,) over the grid `decades` (points,) of log10 rates.

    `start`: the initial level of the loss. `noise`: the standard deviation of the smoothed loss due to chance.
    """

    decades: Array
    losses: Array
    start: float
    noise: float

    @property
    def lowest(self) -> int:
        """The index of the lowest loss."""
        return int(np.argmin(self.losses))

    @property
    def gain(self) -> float:
        """How far the loss fell."""
        return self.start - float(self.losses[self.lowest])


def grid(sweeps: Sequence[Sweep]) -> Array:
    """Evenly spaced log10 rates that span all sweeps."""
    low = min(np.log10(sweep.rates[0]) for sweep in sweeps)
    high = max(np.log10(sweep.rates[-1]) for sweep in sweeps)
    return np.linspace(low, high, max(2, round((high - low) * POINTS_PER_DECADE) + 1))


def smooth(sweep: Sweep, decades: Array) -> SmoothCurve | None:
    """The sweep's curve on the grid; None if it has too few reports."""
    at, losses = _finite(sweep)
    if len(at) < LEAST_REPORTS:
        return None
    first = losses[: max(3, round(CALM_PART * len(losses)))]
    start = float(np.median(first))
    calm = median_filter(losses, SPIKE_STEPS, mode="mirror")
    # Before it falls, the loss stays near its initial level, so values far above it are spikes.
    fall = slice(0, int(np.argmin(calm)))
    calm[fall] = np.minimum(calm[fall], start + SPREAD * float(np.median(np.abs(first - start))))
    # A loss that exceeds the start by more than the gain is capped, so that it does not dominate the kernel.
    cap = start + max(start - float(calm.min()), 1e-12 * max(1.0, abs(start)))
    calm = np.minimum(calm, cap)
    width = min(BANDWIDTH_DECADES / float(np.median(np.diff(at))), len(at))
    curve = gaussian_filter1d(calm, width, mode="reflect")
    resolved = np.interp(decades, at, curve)
    if sweep.diverged:
        resolved[decades > at[-1]] = cap
    return SmoothCurve(decades, resolved, start, _noise(np.minimum(losses, cap), curve, width))


def together(curves: Sequence[SmoothCurve]) -> SmoothCurve:
    """The median of one or more curves, which a single deviating seed does not move."""
    losses = np.median([curve.losses for curve in curves], axis=0)
    start = float(np.median([curve.start for curve in curves]))
    noise = float(np.median([curve.noise for curve in curves]) / np.sqrt(len(curves)))
    return SmoothCurve(curves[0].decades, losses, start, noise)


def _finite(sweep: Sweep) -> tuple[Array, Array]:
    """Strictly increasing log10 rates, and their losses, where both are finite and losses are within LARGEST_VALUE."""
    losses = np.array([np.nan if loss is None else loss for loss in sweep.losses], dtype=float)
    rates = np.array(sweep.rates, dtype=float)
    usable = (np.abs(losses) <= LARGEST_VALUE) & np.isfinite(rates) & (rates > 0)
    at, losses = np.log10(rates[usable]), losses[usable]
    rising = np.concatenate([[True], np.diff(np.maximum.accumulate(at)) > 0]) if len(at) else np.zeros(0, dtype=bool)
    return at[rising], losses[rising]


def _noise(losses: Array, curve: Array, width: float) -> float:
    """The smoothed curve's noise: the early scatter of losses around it, over the root of how many it averages."""
    early = slice(0, max(LEAST_REPORTS // 2, len(losses) // 3))
    scatter = 1.4826 * float(np.median(np.abs(losses[early] - curve[early])))
    return scatter / float(np.sqrt(max(1.0, 2 * np.sqrt(np.pi) * width)))
